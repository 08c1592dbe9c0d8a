"""Checks template.yaml with many combinations of its parameters, then the worker's template.

For each combination the script transforms the template as SAM does, evaluates its conditions and functions as
CloudFormation does, and checks the resources that are left. Then cfn-lint reads the transformed template with all
combinations, because it ignores parameter values of a template that is not transformed yet. `cfn-lint` and
`sam validate --lint` also read the template as it is. The script asks no account anything and writes no file.

It prints one line for each combination, and ends with exit code 1 and a message at the first failure.

usage: check_template.py [--template FILE] [--worker FILE]
"""

import argparse
import json
import logging
import os
import pathlib
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# It warns at the end of each transformation that nobody takes its own metrics.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402  (after the region is set)
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

import check_worker  # noqa: E402
from stack import (  # noqa: E402
    ACCOUNT,
    REGION,
    ROOT,
    Failure,
    Stack,
    by_sid,
    check,
    check_equal,
    check_parameters,
    listed,
    parameter_values,
    role_actions,
    role_statements,
    run,
    statements,
)

BUCKET = "a-bucket-of-files"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:mongodb-a1b2c3"
SECRET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/66666666-7777-8888-9999-000000000000"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/operator"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:authority:3"
UPLOADERS = f"arn:aws:iam::{ACCOUNT}:role/sender,arn:aws:iam::210987654321:root"
URI = "mongodb+srv://cluster.example.net/?authMechanism=MONGODB-AWS"

EXISTING = {"MakeBucket": "no"}
NETWORK = {"SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"}
ENCRYPTED = {"KmsKeyArn": KEY}
GUARDED = {"PermissionsBoundaryArn": BOUNDARY, "OperatorRoleArn": OPERATOR}
TOLD = {"AlarmTopicArn": TOPIC}
WATCHED = {**TOLD, "SilenceAlarmHours": "72", "LagAlarmMinutes": "60", "Dashboard": "true"}
LARGE = {"LargeObjectMegabytes": "2000"}
KEPT = {"RetentionDays": "Observation=3650,AuditEvent=400,*=0", "LedgerDays": "400", "RejectDays": "90"}
AUDITED = {"AuditSchedule": "cron(0 3 * * ? *)"}
SENDERS = {"UploaderArns": UPLOADERS, "AccessLogBucket": "a-bucket-of-logs"}
OFF = {
    "DaysToInfrequentAccess": "0",
    "DaysToGlacier": "0",
    "DaysToExpiration": "0",
    "NoncurrentDays": "0",
    "AbortMultipartDays": "0",
}

# Each is added to BucketName and MongodbUri; a secret takes the place of the latter.
COMBINATIONS = {
    "defaults": {},
    "a secret": {"MongodbSecretArn": SECRET},
    "a secret with a key": {"MongodbSecretArn": SECRET, "MongodbSecretKmsKeyArn": SECRET_KEY},
    "suffix": {"WatchedSuffix": ".ndjson"},
    "network": NETWORK,
    "key": ENCRYPTED,
    "network, key": {**NETWORK, **ENCRYPTED},
    "boundary": {"PermissionsBoundaryArn": BOUNDARY},
    "operator": {"OperatorRoleArn": OPERATOR},
    "uploaders": {"UploaderArns": UPLOADERS},
    "access log": {"AccessLogBucket": "a-bucket-of-logs"},
    "uploaders, access log, key": {**SENDERS, **ENCRYPTED},
    "layers": {"Layers": f"{LAYER},{LAYER}"},
    "topic": TOLD,
    "silence": {"SilenceAlarmHours": "24"},
    "lag": {"LagAlarmMinutes": "30"},
    "audit": {"AuditSchedule": "rate(1 day)"},
    "audit, topic": {**AUDITED, **TOLD},
    "large objects": LARGE,
    "large objects, key": {**LARGE, **ENCRYPTED},
    "large objects, operator, topic": {**LARGE, **GUARDED, **TOLD, "LargeObjectAlarmSeconds": "7200"},
    "dashboard": {"Dashboard": "true"},
    "topic, silence, dashboard": WATCHED,
    "no lifecycle": OFF,
    "cold only": {**OFF, "DaysToGlacier": "1", "ColdStorageClass": "DEEP_ARCHIVE"},
    "infrequent access only": {**OFF, "DaysToInfrequentAccess": "30"},
    "expiry only": {**OFF, "DaysToExpiration": "365"},
    "reserved concurrency, x86_64": {"ReservedConcurrency": "10", "Architecture": "x86_64", "TimeoutSeconds": "60"},
    "local cloud": {"EndpointUrl": "http://127.0.0.1:4566", "MongodbSecretArn": SECRET},
    "retention": KEPT,
    "retention of everything": {"RetentionDays": "*=24855", "LedgerDays": "24855", "RejectDays": "24855"},
    "existing bucket": EXISTING,
    "existing bucket, suffix": {**EXISTING, "WatchedSuffix": ".ndjson.gz", "WatchedPrefix": "north/fhir/"},
    "existing bucket, network": {**EXISTING, **NETWORK},
    "existing bucket, key": {**EXISTING, **ENCRYPTED},
    "existing bucket, operator, boundary": {**EXISTING, **GUARDED},
    "existing bucket, topic, silence, dashboard": {**EXISTING, **WATCHED},
    "existing bucket, no lifecycle": {**EXISTING, **OFF},
    "existing bucket, large objects": {**EXISTING, **LARGE},
    "existing bucket, audit": {**EXISTING, **AUDITED},
    "existing bucket, everything": {**EXISTING, **NETWORK, **ENCRYPTED, **GUARDED, **WATCHED, **AUDITED, "Layers": LAYER},
    "everything": {
        **NETWORK,
        **ENCRYPTED,
        **GUARDED,
        **WATCHED,
        **SENDERS,
        **LARGE,
        **AUDITED,
        **KEPT,
        "Layers": LAYER,
        "MongodbSecretArn": SECRET,
    },
}

# The template's own rules refuse these.
REFUSED = {
    "no connection": {"MongodbUri": ""},
    "two connections": {"MongodbUri": URI, "MongodbSecretArn": SECRET},
    "subnets without security groups": {"SubnetIds": "subnet-0a1b2c3d"},
    "security groups without subnets": {"SecurityGroupIds": "sg-0a1b2c3d"},
    "uploaders of an existing bucket": {**EXISTING, "UploaderArns": UPLOADERS},
    "access log of an existing bucket": {**EXISTING, "AccessLogBucket": "a-bucket-of-logs"},
}

# CloudFormation refuses these values.
WRONG_VALUES = {
    "RetentionDays": ["Observation", "Observation=", "=1", "Observation=1;*=0", "Observation=x", "Observation=1, *=0"],
    "LedgerDays": ["", "1", "29", "24856", "030", "-1"],
    "RejectDays": ["-1", "24856"],
}

# What a stack of the first version has. Another logical id would remove and make the resource.
FIRST_IDS = {
    "Bucket",
    "BucketPolicy",
    "Queue",
    "DeadLetterQueue",
    "QueuePolicy",
    "IngestFunction",
    "IngestFunctionNotifications",
    "IngestRole",
    "IngestLogGroup",
    "DeadLetterAlarm",
    "OldestMessageAlarm",
    "IncompleteLoads",
    "IncompleteLoadAlarm",
}
FOURTEEN_DAYS = 14 * 24 * 3600
NETWORK_ACTIONS = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
ALARMS = {"DeadLetterAlarm", "OldestMessageAlarm", "FunctionErrorAlarm", "IncompleteLoadAlarm", "StopAlarm"}
LARGE_OBJECT_ALARMS = {"LargeObjectDeadLetterAlarm", "LargeObjectOldestMessageAlarm"}
QUEUES = {"Queue", "DeadLetterQueue"}
LARGE_OBJECT_QUEUES = {"LargeObjectQueue", "LargeObjectDeadLetterQueue"}
QUEUE_ACTIONS = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage",
}
# The function writes these in CloudWatch's embedded metric format, with the stack as their dimension.
EMBEDDED = {"Files", "Records", "Rows", "Unchanged", "Rejects", "Bytes", "Lag", "Interruptions", "Stops"}
AUDIT_METRICS = {"MissingObjects", "AuditedObjects"}
METRICS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesSent",
    },
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"},
    # The first is of the template's metric filter.
    "Flatfire": {"flatfire-incomplete-loads", *EMBEDDED, *AUDIT_METRICS},
}


class NoManagedPolicies:
    """The function's role is the template's own, so SAM looks no policy up."""

    def load(self):
        return {}


def transformed(source, given):
    template = yaml_parse(source)
    # As `sam package` leaves it: the code stands in a bucket.
    template["Resources"]["IngestFunction"]["Properties"]["CodeUri"] = "s3://code/ingest.zip"
    try:
        return transform(template, dict(given), NoManagedPolicies())
    except InvalidDocumentException as error:
        raise Failure(f"SAM refuses the template: {error.message}") from error


def complete(given):
    connection = {} if "MongodbSecretArn" in given or "MongodbUri" in given else {"MongodbUri": URI}
    return {"BucketName": BUCKET, **connection, **given}


# --- what the resources must be ----------------------------------------------------------------------------------


def check_logical_ids(stack):
    expected = FIRST_IDS - ({"Bucket", "BucketPolicy"} if stack.given("MakeBucket") == "no" else set())
    missing = expected - stack.ids
    check(not missing, f"the stack lacks {', '.join(sorted(missing))}, which the first version had")


def check_bucket(stack):
    rules = stack.of_type("AWS::Events::") - {"AuditRule"}
    if stack.given("MakeBucket") == "no":
        check_equal(stack.of_type("AWS::S3::"), set(), "the set of bucket resources with MakeBucket=no")
        return check_rule(stack)
    check_equal(rules, set(), "the set of event rules with MakeBucket=yes")
    bucket = stack.properties("Bucket")
    check_equal(stack.resources["Bucket"].get("DeletionPolicy"), "RetainExceptOnCreate", "the bucket's DeletionPolicy")
    check_equal(stack.resources["Bucket"].get("UpdateReplacePolicy"), "Retain", "the bucket's UpdateReplacePolicy")
    check_equal(bucket["VersioningConfiguration"], {"Status": "Enabled"}, "the bucket's versioning")
    check(all(bucket["PublicAccessBlockConfiguration"].values()), "the bucket does not block all public access")
    check_equal(len(bucket["PublicAccessBlockConfiguration"]), 4, "the number of blocks of public access")
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    check_equal(notification["Queue"], "<Queue.Arn>", "the bucket's notification queue")
    filters = {one["Name"]: one["Value"] for one in notification["Filter"]["S3Key"]["Rules"]}
    expected = {"prefix": stack.given("WatchedPrefix"), "suffix": stack.given("WatchedSuffix")}
    check_equal(filters, {name: value for name, value in expected.items() if value}, "the notification's filter")
    policy = stack.properties("BucketPolicy")["PolicyDocument"]
    check_tls_only(policy, "s3:*")
    check_uploaders(stack, policy)
    log = {"DestinationBucketName": stack.given("AccessLogBucket"), "LogFilePrefix": f"{BUCKET}/"}
    expected = log if stack.given("AccessLogBucket") else None
    check_equal(bucket.get("LoggingConfiguration"), expected, "the bucket's access log")


def check_rule(stack):
    rule = stack.properties("ObjectCreatedRule")
    prefix, suffix = stack.given("WatchedPrefix"), stack.given("WatchedSuffix")
    key = {"wildcard": f"{prefix}*{suffix}"} if suffix else {"prefix": prefix}
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [BUCKET]}, "object": {"key": [key]}},
    }
    check_equal(rule["EventPattern"], pattern, "the pattern of the event rule")
    check_equal([target["Arn"] for target in rule["Targets"]], ["<Queue.Arn>"], "the target of the event rule")


def check_uploaders(stack, policy):
    allowed = [statement for statement in statements(policy) if statement["Effect"] == "Allow"]
    if not stack.given("UploaderArns"):
        return check_equal(allowed, [], "what the bucket's policy allows without UploaderArns")
    check_equal(len(allowed), 1, "the number of statements for uploaders")
    check_equal(listed(allowed[0]["Action"]), ["s3:PutObject"], "what uploaders may do")
    check_equal(allowed[0]["Principal"], {"AWS": stack.given("UploaderArns").split(",")}, "the uploaders")
    check_equal(
        listed(allowed[0]["Resource"]),
        [f"arn:aws:s3:::{BUCKET}/{stack.given('WatchedPrefix')}*"],
        "where uploaders may put files",
    )


def check_lifecycle(stack):
    if stack.given("MakeBucket") == "no":
        return
    rules = {rule["Id"]: rule for rule in stack.properties("Bucket")["LifecycleConfiguration"]["Rules"]}
    passive = {"Id", "Status", "Prefix"}
    for name, rule in rules.items():
        check(rule.keys() - passive, f"the lifecycle rule {name} does nothing, which S3 refuses")
        check_equal(rule["Status"], "Enabled", f"the status of the lifecycle rule {name}")
        check(rule.get("Transitions") != [], f"the lifecycle rule {name} has an empty list of transitions")
    keep = rules.get("keep-originals-ever-cheaper", {})
    moves = [(move["StorageClass"], move["TransitionInDays"]) for move in keep.get("Transitions", [])]
    expected = [
        (storage_class, stack.given(days))
        for storage_class, days in [
            ("STANDARD_IA", "DaysToInfrequentAccess"),
            (stack.given("ColdStorageClass"), "DaysToGlacier"),
        ]
        if stack.given(days)
    ]
    check_equal(moves, expected, "the list of transitions")
    check_equal(keep.get("ExpirationInDays", ""), stack.given("DaysToExpiration"), "the days to expiration")
    drop = rules["drop-what-was-replaced-or-never-finished"]
    check_equal(drop.get("ExpiredObjectDeleteMarker"), True, "whether delete markers expire")
    noncurrent = drop.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", "")
    check_equal(noncurrent, stack.given("NoncurrentDays"), "the days of replaced versions")
    unfinished = drop.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", "")
    check_equal(unfinished, stack.given("AbortMultipartDays"), "the days of unfinished uploads")


def check_tls_only(policy, action):
    statement = by_sid(policy, "TlsOnly")
    check_equal(statement["Effect"], "Deny", "the effect of TlsOnly")
    check_equal(statement["Principal"], "*", "the principal of TlsOnly")
    check_equal(statement["Action"], action, "the action of TlsOnly")
    check_equal(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}}, "the condition of TlsOnly")


def queues(stack):
    return QUEUES | (LARGE_OBJECT_QUEUES if stack.given("LargeObjectMegabytes") else set())


def check_queues(stack):
    policies = {f"{name}Policy" for name in queues(stack)}
    check_equal(stack.of_type("AWS::SQS::"), queues(stack) | policies, "the set of queues and their policies")
    for name in sorted(queues(stack)):
        retention = stack.properties(name).get("MessageRetentionPeriod")
        check_equal(retention, FOURTEEN_DAYS, f"the retention of {name}")
        policy = stack.properties(f"{name}Policy")
        check_equal(policy["Queues"], [f"<{name}>"], f"the queue of {name}Policy")
        check_tls_only(policy["PolicyDocument"], "sqs:*")
        for statement in statements(policy["PolicyDocument"]):
            check_equal(statement["Resource"], f"<{name}.Arn>", f"the resource of {statement['Sid']} in {name}Policy")
    timeout = int(stack.given("TimeoutSeconds"))
    check_equal(stack.properties("Queue")["VisibilityTimeout"], 6 * timeout, "the queue's visibility timeout")


def check_redrive(stack):
    """Each queue that delivers has a dead-letter queue of its own."""
    for name in sorted(queues(stack)):
        target = stack.properties(name).get("RedrivePolicy", {}).get("deadLetterTargetArn")
        expected = None if name.endswith("DeadLetterQueue") else f"<{name.removesuffix('Queue')}DeadLetterQueue.Arn>"
        check_equal(target, expected, f"the dead-letter queue of {name}")


def check_retention(stack):
    variables = stack.properties("IngestFunction")["Environment"]["Variables"]
    for variable, parameter in (
        ("ARCHIVE_DAYS", "ArchiveDays"),
        ("RETENTION_DAYS", "RetentionDays"),
        ("LEDGER_DAYS", "LedgerDays"),
        ("REJECT_DAYS", "RejectDays"),
    ):
        # `given` has no zeros: for days they stand for ever, as an empty list of rules does.
        without = "" if parameter == "RetentionDays" else "0"
        check_equal(str(variables[variable]), stack.given(parameter) or without, variable)


def check_large_objects(stack):
    variables = stack.properties("IngestFunction")["Environment"]["Variables"]
    check_equal(variables.get("STACK_NAME"), "flatfire", "STACK_NAME")
    granted = {
        (action, resource) for action, resources in role_actions(stack, "IngestRole", "sqs:").items() for resource in resources
    }
    expected = {(action, "<Queue.Arn>") for action in QUEUE_ACTIONS}
    megabytes = stack.given("LargeObjectMegabytes")
    outputs = {name: value for name, value in stack.outputs.items() if name.startswith("LargeObject")}
    check_equal(variables.get("LARGE_OBJECT_MEGABYTES", ""), megabytes, "LARGE_OBJECT_MEGABYTES")
    if not megabytes:
        check_equal(variables.get("LARGE_OBJECT_QUEUE_URL"), None, "LARGE_OBJECT_QUEUE_URL")
        check_equal(outputs, {}, "the outputs of a queue that is not there")
        return check_equal(granted, expected, "what the role may do with queues")
    check_equal(variables.get("LARGE_OBJECT_QUEUE_URL"), "<LargeObjectQueue>", "LARGE_OBJECT_QUEUE_URL")
    check_equal(
        outputs,
        {
            "LargeObjectQueueUrl": "<LargeObjectQueue>",
            "LargeObjectQueueArn": "<LargeObjectQueue.Arn>",
            "LargeObjectDeadLetterQueueUrl": "<LargeObjectDeadLetterQueue>",
        },
        "the outputs of the queue of large objects",
    )
    expected.add(("sqs:SendMessage", "<LargeObjectQueue.Arn>"))
    check_equal(granted, expected, "what the role may do with queues")
    policy = stack.properties("LargeObjectQueuePolicy")["PolicyDocument"]
    check_deny(stack, policy)
    allowed = [statement for statement in statements(policy) if statement["Effect"] == "Allow"]
    check_equal(allowed, [], "what the policy of the queue of large objects allows")
    # The worker's heartbeat assumes it, and a killed worker's message comes again after it.
    check_equal(stack.properties("LargeObjectQueue")["VisibilityTimeout"], 120, "the visibility of large objects")


def check_deny(stack, policy):
    deny = by_sid(policy, "NobodyElseMaySend")
    check_equal((deny["Effect"], deny["Principal"]), ("Deny", "*"), "whom NobodyElseMaySend refuses")
    check_equal(deny["Action"], "sqs:SendMessage", "what NobodyElseMaySend refuses")
    operator = [stack.given("OperatorRoleArn")] if stack.given("OperatorRoleArn") else []
    condition = {
        "Bool": {"aws:PrincipalIsAWSService": "false"},
        "ArnNotEquals": {"aws:PrincipalArn": ["<IngestRole.Arn>", *operator]},
    }
    check_equal(deny["Condition"], condition, "whom NobodyElseMaySend admits")


def check_senders(stack):
    policy = stack.properties("QueuePolicy")["PolicyDocument"]
    check_deny(stack, policy)
    if stack.given("MakeBucket") == "no":
        service = "events.amazonaws.com"
        condition = {"ArnEquals": {"aws:SourceArn": "<ObjectCreatedRule.Arn>"}}
    else:
        service = "s3.amazonaws.com"
        condition = {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        }
    allowed = [statement for statement in statements(policy) if statement["Effect"] == "Allow"]
    check_equal(len(allowed), 1, "the number of statements that admit a sender")
    check_equal(allowed[0]["Principal"], {"Service": service}, "the service that may send")
    check_equal(allowed[0]["Action"], "sqs:SendMessage", "what the service may do")
    check_equal(allowed[0]["Condition"], condition, "the source that may send")


def check_operator(stack):
    """The operator's commands may send, list and read, and nothing else."""
    if not stack.given("OperatorRoleArn"):
        return check("OperatorPolicy" not in stack.ids, "there is a policy for an operator that nobody named")
    document = stack.properties("OperatorPolicy")["PolicyDocument"]
    granted = {
        (action, statement["Resource"])
        for statement in statements(document)
        for action in listed(statement["Action"])
    }
    bucket, key = f"arn:aws:s3:::{BUCKET}", stack.given("KmsKeyArn")
    files = f"{bucket}/{stack.given('WatchedPrefix')}*"
    expected = {
        ("s3:ListBucketVersions", bucket),
        ("s3:GetBucketVersioning", bucket),
        ("s3:GetObject", files),
        ("s3:GetObjectVersion", files),
    }
    for name in queues(stack):
        drains = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ListDeadLetterSourceQueues")
        actions = drains if name.endswith("DeadLetterQueue") else ("sqs:SendMessage",)
        expected |= {(action, f"<{name}.Arn>") for action in (*actions, "sqs:GetQueueAttributes")}
    expected |= {("kms:Decrypt", key), ("kms:GenerateDataKey", key)} if key else set()
    check_equal(granted, expected, "what the operator may do")
    check(all(statement["Effect"] == "Allow" for statement in statements(document)), "the operator's policy denies")
    condition = {"StringLike": {"s3:prefix": f"{stack.given('WatchedPrefix')}*"}}
    check_equal(by_sid(document, "ListTheFiles")["Condition"], condition, "what the operator may list")


def check_network(stack):
    actions = role_actions(stack, "IngestRole", "ec2:")
    network = stack.properties("IngestFunction").get("VpcConfig")
    if not stack.given("SubnetIds"):
        check_equal(set(actions), set(), "the set of ec2 actions without a network")
        return check_equal(network, None, "the function's network")
    check_equal(set(actions), NETWORK_ACTIONS, "the set of ec2 actions in a network")
    expected = {name: stack.given(name).split(",") for name in ("SubnetIds", "SecurityGroupIds")}
    check_equal(network, expected, "the function's network")


def check_key(stack):
    key, secret_key = stack.given("KmsKeyArn"), stack.given("MongodbSecretKmsKeyArn")
    granted = {
        (action, resource)
        for statement in role_statements(stack, "IngestRole")
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action.startswith("kms:")
    }
    expected = {("kms:Decrypt", key), ("kms:GenerateDataKey", key)} if key else set()
    expected |= {("kms:Decrypt", secret_key)} if secret_key else set()
    check_equal(granted, expected, "the set of kms actions of the role")
    for name in sorted(queues(stack)):
        queue = stack.properties(name)
        check_equal(queue.get("KmsMasterKeyId", ""), key, f"the key of {name}")
        check_equal(queue.get("SqsManagedSseEnabled"), None if key else True, f"SqsManagedSseEnabled of {name}")
    check_equal(stack.properties("IngestLogGroup").get("KmsKeyId", ""), key, "the key of the log")
    check_equal(stack.properties("IngestFunction").get("KmsKeyArn", ""), key, "the key of the function")
    if stack.given("MakeBucket") == "no":
        return
    (rule,) = stack.properties("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    with_key = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    without_key = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    check_equal(rule, with_key if key else without_key, "the bucket's encryption")


def check_role(stack):
    role, function = stack.properties("IngestRole"), stack.properties("IngestFunction")
    boundary = role.get("PermissionsBoundary", "")
    check_equal(boundary, stack.given("PermissionsBoundaryArn"), "the permissions boundary")
    layers = stack.given("Layers").split(",") if stack.given("Layers") else None
    check_equal(function.get("Layers"), layers, "the list of layers")
    check_equal(function["Role"], "<IngestRole.Arn>", "the function's role")
    check_equal(stack.outputs.get("RoleArn"), "<IngestRole.Arn>", "the output RoleArn")
    check_equal(stack.outputs.get("BucketName"), BUCKET, "the output BucketName")
    objects = f"arn:aws:s3:::{BUCKET}/{stack.given('WatchedPrefix')}*"
    expected = {
        "s3:GetObject": [objects],
        "s3:GetObjectVersion": [objects],
        "s3:ListBucket": [f"arn:aws:s3:::{BUCKET}"],
    }
    if stack.given("AuditSchedule"):
        expected["s3:ListBucketVersions"] = [f"arn:aws:s3:::{BUCKET}"]
    check_equal(role_actions(stack, "IngestRole", "s3:"), expected, "what the role may do in S3")
    secret = {"secretsmanager:GetSecretValue": [SECRET]} if stack.given("MongodbSecretArn") else {}
    check_equal(role_actions(stack, "IngestRole", "secretsmanager:"), secret, "what the role may do in Secrets Manager")


def check_audit(stack):
    """Without a schedule nothing of the audit is there; check_role looks after its right."""
    permissions = stack.of_type("AWS::Lambda::Permission")
    if not stack.given("AuditSchedule"):
        check("AuditRule" not in stack.ids, "there is a rule for an audit that nobody asked for")
        return check_equal(permissions, set(), "the set of rights to invoke the function")
    rule = stack.properties("AuditRule")
    check_equal(rule["ScheduleExpression"], stack.given("AuditSchedule"), "the schedule of the audit")
    (target,) = rule["Targets"]
    check_equal(target["Arn"], "<IngestFunction.Arn>", "the target of the audit")
    check_equal(json.loads(target["Input"]), {"audit": {"olderThanMinutes": 360}}, "the event of the audit")
    check_equal(permissions, {"AuditPermission"}, "the set of rights to invoke the function")
    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "<IngestFunction>",
        "Principal": "events.amazonaws.com",
        "SourceArn": "<AuditRule.Arn>",
    }
    check_equal(stack.properties("AuditPermission"), permission, "who may invoke the function")
    listing = [one for one in role_statements(stack, "IngestRole") if one["Action"] == "s3:ListBucketVersions"]
    condition = {"StringLike": {"s3:prefix": f"{stack.given('WatchedPrefix')}*"}}
    check_equal([one["Condition"] for one in listing], [condition], "what the audit may list")
    alarm = stack.properties("MissingObjectAlarm")
    rule = (alarm["MetricName"], alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])
    check_equal(rule, ("MissingObjects", "Maximum", "GreaterThanThreshold", 0), "the rule of MissingObjectAlarm")
    check_equal(alarm["TreatMissingData"], "ignore", "what MissingObjectAlarm makes of missing data")


def check_alarms(stack):
    expected = ALARMS | ({"SilenceAlarm"} if stack.given("SilenceAlarmHours") else set())
    expected |= {"LagAlarm"} if stack.given("LagAlarmMinutes") else set()
    expected |= {"MissingObjectAlarm"} if stack.given("AuditSchedule") else set()
    expected |= LARGE_OBJECT_ALARMS if stack.given("LargeObjectMegabytes") else set()
    check_equal(stack.of_type("AWS::CloudWatch::Alarm"), expected, "the set of alarms")
    topic = [stack.given("AlarmTopicArn")] if stack.given("AlarmTopicArn") else None
    for name in sorted(expected):
        alarm = stack.properties(name)
        for actions in ("AlarmActions", "OKActions"):
            check_equal(alarm.get(actions), topic, f"{actions} of {name}")
        check_metric(alarm["Namespace"], alarm["MetricName"], name)
        if alarm["MetricName"] in EMBEDDED | AUDIT_METRICS:
            check_equal(alarm["Dimensions"], [{"Name": "Stack", "Value": "flatfire"}], f"the dimensions of {name}")
    if "SilenceAlarm" in expected:
        alarm = stack.properties("SilenceAlarm")
        check_equal(alarm["TreatMissingData"], "breaching", "what SilenceAlarm makes of missing data")
        check_equal(alarm["EvaluationPeriods"], stack.given("SilenceAlarmHours"), "the hours of SilenceAlarm")
    alarm = stack.properties("StopAlarm")
    rule = (alarm["MetricName"], alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])
    check_equal(rule, ("Stops", "Sum", "GreaterThanThreshold", 0), "the rule of StopAlarm")
    if "LagAlarm" in expected:
        alarm = stack.properties("LagAlarm")
        rule = (alarm["MetricName"], alarm["ExtendedStatistic"], alarm["ComparisonOperator"], alarm["Threshold"])
        milliseconds = 60_000 * int(stack.given("LagAlarmMinutes"))
        check_equal(rule, ("Lag", "p95", "GreaterThanThreshold", milliseconds), "the rule of LagAlarm")
    if stack.given("LargeObjectMegabytes"):
        alarm = stack.properties("LargeObjectOldestMessageAlarm")
        rule = (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"])
        seconds = stack.given("LargeObjectAlarmSeconds")
        check_equal(rule, ("ApproximateAgeOfOldestMessage", "Maximum", seconds), "the rule for large objects that wait")
        queue = [{"Name": "QueueName", "Value": "<LargeObjectQueue.QueueName>"}]
        check_equal(alarm["Dimensions"], queue, "the queue of large objects that wait")


def check_metric(namespace, metric, where):
    check(metric in METRICS.get(namespace, ()), f"{where} has the metric {namespace} {metric}, which no service sends")


def check_dashboard(stack):
    dashboards = stack.of_type("AWS::CloudWatch::Dashboard")
    check_equal(len(dashboards), int(stack.given("Dashboard") == "true"), "the number of dashboards")
    for name in dashboards:
        text = stack.properties(name)["DashboardBody"]
        try:
            body = json.loads(text)
        except ValueError as error:
            raise Failure(f"the body of {name} is not JSON: {error}") from error
        check(body.get("widgets"), f"{name} has no widgets")
        for widget in body["widgets"]:
            title = widget["properties"]["title"]
            check(widget["x"] + widget["width"] <= 24, f"the widget {title} is beyond the 24 columns")
            for metric in widget["properties"].get("metrics", []):
                check_metric(metric[0], metric[1], f"the widget {title}")
                if metric[1] in EMBEDDED:
                    check_equal(metric[2:4], ["Stack", "flatfire"], f"the dimension of {metric[1]} in {title}")
        shown = {metric[1] for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])}
        check(EMBEDDED <= shown, f"{name} does not show {', '.join(sorted(EMBEDDED - shown))}")
        check_overlaps(body["widgets"])


def check_overlaps(widgets):
    taken = {}
    for widget in widgets:
        title = widget["properties"]["title"]
        for x in range(widget["x"], widget["x"] + widget["width"]):
            for y in range(widget["y"], widget["y"] + widget["height"]):
                other = taken.setdefault((x, y), title)
                check(other == title, f"the widgets {other} and {title} overlap")


CHECKS = [
    check_logical_ids,
    check_bucket,
    check_lifecycle,
    check_queues,
    check_redrive,
    check_senders,
    check_operator,
    check_retention,
    check_large_objects,
    check_network,
    check_key,
    check_role,
    check_audit,
    check_alarms,
    check_dashboard,
]


def check_mappings(template):
    """Checks the products that CloudFormation cannot reckon itself."""
    for name, parameter, factor in (
        ("VisibilitySeconds", "TimeoutSeconds", 6),
        ("LagMilliseconds", "LagAlarmMinutes", 60_000),
    ):
        mapped = {int(key): value["Value"] for key, value in template["Mappings"][name].items()}
        allowed = template["Parameters"][parameter]["AllowedValues"]
        check_equal(mapped, {value: factor * value for value in allowed}, f"the mapping {name}")


def check_refusals(source):
    for name, given in REFUSED.items():
        stack = Stack(transformed(source, complete(given)), complete(given))
        check(stack.broken_rule(), f"no rule of the template refuses: {name}")
        print(f"refused  {name}")
    for name, values in WRONG_VALUES.items():
        for value in values:
            try:
                parameter_values(yaml_parse(source), complete({name: value}))
            except Failure:
                continue
            raise Failure(f"{name}={value} is not refused")
        print(f"refused  {len(values)} values of {name}")


def check_combination(source, name, given):
    try:
        stack = Stack(transformed(source, complete(given)), complete(given))
        broken = stack.broken_rule()
        check(not broken, f"a rule of the template refuses it: {broken}")
        for one in CHECKS:
            one(stack)
    except Failure as failure:
        raise Failure(f"with the combination \"{name}\": {failure}") from failure
    print(f"ok       {name}: {len(stack.ids)} resources")


# --- the linters -------------------------------------------------------------------------------------------------


def lint_combinations(source):
    """Lints each transformed template; combinations that SAM transforms alike share one."""
    sets = {}
    for given in COMBINATIONS.values():
        text = json.dumps(transformed(source, complete(given)), indent=1)
        sets.setdefault(text, []).append([f"{name}={value}" for name, value in complete(given).items()])
    for text, alike in sets.items():
        run("cfn-lint", *(part for one in alike for part in ("--parameters", *one)), text=text)


def lint(template):
    run("cfn-lint", "--template", str(template))
    run("sam", "validate", "--lint", "--region", REGION, "--template-file", str(template))


def main():
    parser = argparse.ArgumentParser(description="Checks the template with many combinations of its parameters.")
    parser.add_argument("--template", type=pathlib.Path, default=ROOT / "template.yaml")
    parser.add_argument("--worker", type=pathlib.Path, default=ROOT / "deploy/worker/template.yaml")
    arguments = parser.parse_args()
    path = arguments.template.resolve()
    source = path.read_text()
    worker = arguments.worker.resolve()
    try:
        check_parameters(yaml_parse(source))
        check_mappings(yaml_parse(source))
        for name, given in COMBINATIONS.items():
            check_combination(source, name, given)
        check_refusals(source)
        lint_combinations(source)
        lint(path)
    except Failure as failure:
        sys.exit(f"template.yaml: {failure}")
    try:
        check_worker.check_all(yaml_parse(worker.read_text()), yaml_parse(source))
        check_worker.lint(worker)
    except Failure as failure:
        sys.exit(f"deploy/worker/template.yaml: {failure}")


if __name__ == "__main__":
    main()
