"""Write the command that connects a laptop: token files and AWS profiles, in one paste.

The token goes by a pipe, from a `printf` that is part of the shell: it is in no argument list, and
in no file but the two that are for its owner alone. A script in single quotes means the same to
bash, zsh, dash and fish as long as it has neither a single quote nor two backslashes in a row, so
one command serves them all. Of ~/.aws/config it changes its own marked block alone, and nothing at
all where a section of that block is already elsewhere in the file.
"""

import re

from sessions.secret import Secret
from sessions.snippets.token_files import is_on_loopback
from sessions.snippets.values import URL, check

TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9._-]{1,320}", re.ASCII)
MARK = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,320}", re.ASCII)

_POSIX = """\
set -eu; umask 077
read -r token || test -n "$token"
dir="$HOME/.config/chainweb"; config="${AWS_CONFIG_FILE:-$HOME/.aws/config}"
begin="# >>> chainweb MARK >>>"; end="# <<< chainweb MARK <<<"
mkdir -p "$dir" "$(dirname "$config")"
work="$(mktemp -d "$dir/connect.XXXXXX")"; trap "rm -rf \\"$work\\"" EXIT
printf "Authorization: Bearer %s\\n" "$token" > "$work/header"; printf %s "$token" > "$work/token"
curl -qgfsS -m 20 NOPROXY-H "@$work/header" -o "$work/new" "ADDRESS" || {
  echo "Chainweb gave no profiles: nothing was changed." >&2; exit 1; }
: > "$work/kept"
if test -f "$config"; then
  if grep -Fqx "$begin" "$config" && grep -Fqx "$end" "$config"; then
    from="^# >>> chainweb PATTERN >>>\\$"; to="^# <<< chainweb PATTERN <<<\\$"
    sed "/$from/,/$to/d" "$config" > "$work/kept"
  else cat "$config" > "$work/kept"; fi
fi
tr -d "[:blank:]" < "$work/kept" | grep "^\\[" > "$work/theirs" || :
tr -d "[:blank:]" < "$work/new" | grep "^\\[" > "$work/ours" || :
if test -s "$work/ours" && test -s "$work/theirs" && grep -Fxf "$work/ours" "$work/theirs" >&2; then
  echo "These sections are in $config already: rename or remove them, then paste again." >&2
  exit 1
fi
mv -f "$work/header" "$dir/FILES.header"; mv -f "$work/token" "$dir/FILES.token"
if test -s "$work/kept" && test -n "$(tail -c 1 "$work/kept")"; then echo >> "$work/kept"; fi
{ cat "$work/kept"; printf "%s\\n" "$begin"; cat "$work/new"; printf "\\n%s\\n" "$end"
} > "$work/all"
cat "$work/all" > "$config"
echo "Connected: $(grep -c "^\\[" "$work/new" || :) profiles are in $config."
"""

_POWERSHELL = """\
& {
$ErrorActionPreference = 'Stop'; $token = 'TOKEN'
$dir = Join-Path $HOME '.config/chainweb'
$config = if ($env:AWS_CONFIG_FILE) { $env:AWS_CONFIG_FILE } else { Join-Path $HOME '.aws/config' }
$begin = '# >>> chainweb MARK >>>'; $end = '# <<< chainweb MARK <<<'
$new = Invoke-RestMethod -Uri 'ADDRESS' -TimeoutSec 20 -Headers @{ Authorization = "Bearer $token" }
New-Item -ItemType Directory -Force $dir, (Split-Path $config) | Out-Null
$old = if (Test-Path $config) { [IO.File]::ReadAllText($config) } else { '' }
$block = '(?ms)^' + [regex]::Escape($begin) + '\\r?$.*?^' + [regex]::Escape($end) + '\\r?$\\n?'
$kept = [regex]::Replace($old, $block, '')
$head = '(?m)^\\[[^\\]\\r\\n]*\\]'
$heads = { param($t) [regex]::Matches($t, $head) | ForEach-Object { $_.Value -replace '\\s', '' } }
$both = @(& $heads $new | Where-Object { @(& $heads $kept) -ccontains $_ })
if ($both) { throw "$config has already: $both. Rename or remove them, then paste again." }
$header = "Authorization: Bearer $token`n"
foreach ($file in @(@('FILES.header', $header), @('FILES.token', $token))) {
  $path = Join-Path $dir $file[0]; [IO.File]::WriteAllText($path, '')
  if ($IsLinux -or $IsMacOS) { chmod 600 $path }
  else { icacls $path /inheritance:r /grant:r "${env:USERNAME}:F" | Out-Null }
  [IO.File]::WriteAllText($path, $file[1])
}
if ($kept -and -not $kept.EndsWith("`n")) { $kept += "`n" }
[IO.File]::WriteAllText($config, $kept + $begin + "`n" + $new.TrimEnd() + "`n" + $end + "`n")
"Connected: the profiles are in $config."
}
"""


def posix(token: Secret, address: str, mark: str, files: str) -> str:
    """Return the command for bash, zsh, dash and fish. Raises ValueError for a hostile address.

    `address` answers the profiles, `mark` names host and team in the block of the file, `files` the
    two files that the profiles read (`token_files.name_for`).
    """
    _check(token, address, mark, files)
    is_local = address.startswith("http:") and is_on_loopback(address)
    script = _POSIX.replace("NOPROXY", '--noproxy "*" ' if is_local else "")
    pattern = re.sub(r"([.\[\]])", r"\\\1", mark)
    script = script.replace("PATTERN", pattern).replace("MARK", mark).replace("ADDRESS", address)
    script = script.replace("FILES", files)
    assert "'" not in script
    assert "\\\\" not in script
    # A blank first: shells that are told so keep such a line out of their history.
    return f" printf '%s\\n' '{token.reveal()}' | sh -c '{script}'"


def powershell(token: Secret, address: str, mark: str, files: str) -> str:
    """Return the command for PowerShell. Raises ValueError for a hostile address."""
    _check(token, address, mark, files)
    script = _POWERSHELL.replace("MARK", mark).replace("ADDRESS", address).replace("FILES", files)
    return script.replace("TOKEN", token.reveal())


def _check(token: Secret, address: str, mark: str, files: str) -> None:
    check("The address of the API", address, URL)
    check("The name of the installation", mark, MARK)
    check("The name of the token's files", files, NAME)
    check("The token", token, TOKEN)
