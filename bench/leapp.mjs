// Starts N chained sessions of @noovolari/leapp-core at once, without its desktop: node leapp.mjs FOLDER URL N
//
// FOLDER holds node_modules and becomes the home folder; URL is the STS. All sessions are assumed from one IAM user, the
// deepest that it can do: GetSessionToken once (it believes), then AssumeRole. Its own services do everything; ours are
// the small native parts that the desktop gives it: files, a keychain (in memory here, which is quicker), no log.
// Prints {"wanted", "active", "seconds", "errors": {message: times}} as JSON.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, url, wanted] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const require = createRequire(path.join(folder, "package.json"));
require("reflect-metadata");
const core = (name) => require(`@noovolari/leapp-core/${name}`);

const { AwsCoreService } = core("services/aws-core-service");
const { AwsIamRoleChainedService } = core("services/session/aws/aws-iam-role-chained-service");
const { AwsIamRoleChainedSession } = core("models/aws/aws-iam-role-chained-session");
const { AwsIamUserService } = core("services/session/aws/aws-iam-user-service");
const { AwsNamedProfile } = core("models/aws/aws-named-profile");
const { AwsParentSessionFactory } = core("services/session/aws/aws-parent-session.factory");
const { BehaviouralSubjectService } = core("services/behavioural-subject-service");
const { FileService } = core("services/file-service");
const { KeychainService } = core("services/keychain-service");
const { Repository } = core("services/repository");
const { SessionStatus } = core("models/session-status");
const { WorkspaceConsistencyService } = core("services/workspace-consistency-service");

const REGION = "eu-west-1";
const home = path.join(folder, "home");
fs.rmSync(home, { recursive: true, force: true });
fs.mkdirSync(path.join(home, ".aws"), { recursive: true });
fs.writeFileSync(path.join(home, ".aws", "credentials"), "");

const keys = new Map();
const native = {
  fs,
  path,
  os: { homedir: () => home },
  ini: require("ini"),
  machineId: "bench",
  keytar: {
    setPassword: async (service, account, password) => void keys.set(account, password),
    getPassword: async (service, account) => keys.get(account),
  },
};
const quiet = { log: () => undefined };
const files = new FileService(native);
const repository = new Repository(native, files, new WorkspaceConsistencyService(files, native, quiet));
const notifier = new BehaviouralSubjectService(repository);
const aws = new AwsCoreService(native, quiet);
const keychain = new KeychainService(native);
const users = new AwsIamUserService(notifier, repository, null, null, keychain, files, aws);
const chained = new AwsIamRoleChainedService(
  notifier, repository, aws, files, users, new AwsParentSessionFactory(users, null, null),
);
AwsCoreService.stsEndpointsPerRegion.set(REGION, url);

await users.create({
  sessionName: "root",
  region: REGION,
  profileId: repository.getWorkspace().profiles[0].id,
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
});
const workspace = repository.getWorkspace();
const root = workspace.sessions[0];
const profiles = Array.from({ length: wanted }, (_, number) => new AwsNamedProfile(`id-${number}`, `leaf-${number}`));
const leaves = profiles.map(
  ({ id }, number) =>
    new AwsIamRoleChainedSession(
      `leaf ${number}`, REGION, `arn:aws:iam::222233334444:role/Leaf${number}`, id, root.sessionId, "bench",
    ),
);
workspace.profiles = [...workspace.profiles, ...profiles];
workspace.sessions = [root, ...leaves];
repository.persistWorkspace(workspace);

const errors = {};
const begun = performance.now();
await Promise.all(
  leaves.map((leaf) =>
    chained.start(leaf.sessionId).catch((error) => {
      errors[error.message] = (errors[error.message] ?? 0) + 1;
    }),
  ),
);
const seconds = (performance.now() - begun) / 1000;
const active = repository.getSessions().filter(({ status }) => status === SessionStatus.active).length;
console.log(JSON.stringify({ wanted, active, seconds, errors }));
