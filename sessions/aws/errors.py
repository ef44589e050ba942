class AwsError(Exception):
    retryable = False

    def __init__(self, code: str, hop: int, message: str, check: str) -> None:
        super().__init__(message)
        self.code, self.hop, self.message, self.check = code, hop, message, check


class Refused(AwsError): ...


class Throttled(AwsError):
    retryable = True


class Unavailable(AwsError):
    retryable = True


class CredentialsExpired(AwsError): ...


class UnacceptableAnswer(AwsError): ...


class WaitingForPerson(AwsError): ...
