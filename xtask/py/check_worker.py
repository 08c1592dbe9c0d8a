"""Checks deploy/worker/template.yaml; check_template.py calls it."""

from stack import (
    ACCOUNT,
    REGION,
    Failure,
    Stack,
    alarm_metrics,
    check,
    check_equal,
    check_parameters,
    role_actions,
    run,
)

BUCKET = "a-bucket-of-files"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:large-objects"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:mongodb-a1b2c3"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/66666666-7777-8888-9999-000000000000"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/flatfire-worker"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
INGEST = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/flatfire-prod/0a1b2c3d"
URI = "mongodb+srv://cluster.example.net/?authMechanism=MONGODB-AWS"

GIVEN = {
    "Image": "registry.example.net/flatfire-worker:0.1.0",
    "QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/large-objects",
    "QueueArn": QUEUE,
    "BucketName": BUCKET,
    "SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d",
    "SecurityGroupIds": "sg-0a1b2c3d",
}
SECRETIVE = {"MongodbSecretArn": SECRET, "MongodbSecretKmsKeyArn": SECRET_KEY}

# Each is added to GIVEN and MongodbUri; a secret takes the place of the latter.
COMBINATIONS = {
    "defaults": {},
    "a secret": {"MongodbSecretArn": SECRET},
    "a secret with a key": SECRETIVE,
    "key": {"KmsKeyArn": KEY},
    "repository": {"ImageRepositoryArn": REPOSITORY, "CpuArchitecture": "ARM64"},
    "existing cluster": {"ClusterName": "main"},
    "public addresses": {"AssignPublicIp": "yes"},
    "boundary": {"PermissionsBoundaryArn": BOUNDARY},
    "ingest stack, topic": {"IngestStackId": INGEST, "AlarmTopicArn": TOPIC},
    "always one": {"MinTasks": "1", "MaxTasks": "5", "IdleMinutes": "60", "Concurrency": "8", "WatchedSuffix": ".ndjson"},
    "everything": {
        **SECRETIVE,
        "KmsKeyArn": KEY,
        "ImageRepositoryArn": REPOSITORY,
        "ClusterName": "main",
        "PermissionsBoundaryArn": BOUNDARY,
        "IngestStackId": INGEST,
        "AlarmTopicArn": TOPIC,
        "StorageGigabytes": "100",
    },
}
REFUSED = {
    "no connection": {"MongodbUri": ""},
    "two connections": {"MongodbUri": URI, "MongodbSecretArn": SECRET},
}

# The worker does not read these: the function hands objects over, or is told which cloud to use.
NOT_OF_THE_WORKER = {"LARGE_OBJECT_MEGABYTES", "LARGE_OBJECT_QUEUE_URL", "AWS_ENDPOINT_URL"}

# A task has another size than a function, and is always in a network.
SIZED_OTHERWISE = {"MemoryMegabytes", "SubnetIds", "SecurityGroupIds"}
# check_environment checks these.
OF_ITS_OWN = {"QUEUE_URL", "MONGODB_SECRET_ARN", "MONGODB_URI", "STACK_NAME", "LOG_KEY_SECRET"}


def complete(given):
    connection = {} if "MongodbSecretArn" in given or "MongodbUri" in given else {"MongodbUri": URI}
    return {**GIVEN, **connection, **given}


def container(stack):
    (found,) = stack.properties("TaskDefinition")["ContainerDefinitions"]
    return found


def check_task(stack):
    task = stack.properties("TaskDefinition")
    check_equal(task["RequiresCompatibilities"], ["FARGATE"], "where tasks run")
    check_equal(task["NetworkMode"], "awsvpc", "the network of tasks")
    check_equal(task["TaskRoleArn"], "<TaskRole.Arn>", "the role of the program")
    check_equal(task["ExecutionRoleArn"], "<ExecutionRole.Arn>", "the role that starts the program")
    platform = {"OperatingSystemFamily": "LINUX", "CpuArchitecture": stack.given("CpuArchitecture")}
    check_equal(task["RuntimePlatform"], platform, "the platform")
    check_equal(task["EphemeralStorage"], {"SizeInGiB": stack.given("StorageGigabytes")}, "the disk")
    check_equal(container(stack)["Image"], stack.given("Image"), "the image")
    check_equal(container(stack)["StopTimeout"], 120, "the time in which loads stop")
    check_equal(container(stack)["Command"], ["--concurrency", stack.given("Concurrency")], "the command")
    log = container(stack)["LogConfiguration"]
    check_equal((log["LogDriver"], log["Options"]["awslogs-group"]), ("awslogs", "<LogGroup>"), "where the log goes")


def check_environment(stack):
    variables = {one["Name"]: one["Value"] for one in container(stack)["Environment"]}
    check_equal(variables["QUEUE_URL"], stack.given("QueueUrl"), "QUEUE_URL")
    check_equal(variables.get("MONGODB_SECRET_ARN", ""), stack.given("MongodbSecretArn"), "MONGODB_SECRET_ARN")
    check_equal(variables.get("MONGODB_URI", ""), stack.given("MongodbUri"), "MONGODB_URI")
    watched = tuple(variables[f"WATCHED_{name}"] for name in ("BUCKET", "PREFIX", "SUFFIX"))
    expected = (BUCKET, stack.given("WatchedPrefix"), stack.given("WatchedSuffix"))
    check_equal(watched, expected, "what is watched")
    ingest = stack.given("IngestStackId")
    check_equal(variables["STACK_NAME"], "flatfire-prod" if ingest else "flatfire", "STACK_NAME")
    own = stack.reference("AWS::StackId", "LOG_KEY_SECRET")
    check_equal(variables["LOG_KEY_SECRET"], ingest or own, "LOG_KEY_SECRET")


def check_service(stack):
    service = stack.properties("Service")
    made = {"Cluster"} if not stack.given("ClusterName") else set()
    check_equal(stack.of_type("AWS::ECS::Cluster"), made, "the set of clusters")
    cluster = stack.given("ClusterName") or "<Cluster>"
    check_equal(service["Cluster"], cluster, "the cluster")
    check("DesiredCount" not in service, "the service has a number of tasks, which each update would set")
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    public = "ENABLED" if stack.given("AssignPublicIp") == "yes" else "DISABLED"
    check_equal(network["AssignPublicIp"], public, "whether tasks get public addresses")
    for parameter, name in (("SubnetIds", "Subnets"), ("SecurityGroupIds", "SecurityGroups")):
        check_equal(network[name], stack.given(parameter).split(","), f"the {parameter} of tasks")
    target = stack.properties("ScalableTarget")
    check_equal(target["ResourceId"], f"service/{cluster}/<Service.Name>", "what is scaled")
    limits = (target["MinCapacity"], target["MaxCapacity"])
    check_equal(limits, (stack.parameters["MinTasks"], stack.given("MaxTasks")), "the limits of tasks")


def check_rights(stack):
    objects = f"arn:aws:s3:::{BUCKET}/{stack.given('WatchedPrefix')}*"
    key, secret, secret_key = (stack.given(f"{name}Arn") for name in ("KmsKey", "MongodbSecret", "MongodbSecretKmsKey"))
    expected = {
        "s3:GetObject": {objects},
        "s3:GetObjectVersion": {objects},
        "s3:ListBucket": {f"arn:aws:s3:::{BUCKET}"},
        "sqs:ReceiveMessage": {QUEUE},
        "sqs:DeleteMessage": {QUEUE},
        "sqs:ChangeMessageVisibility": {QUEUE},
        "sqs:SendMessage": {QUEUE},
        "kms:Decrypt": {one for one in (key, secret_key) if one},
        "kms:GenerateDataKey": {key} if key else set(),
        "secretsmanager:GetSecretValue": {secret} if secret else set(),
    }
    check_role(stack, "TaskRole", expected)
    repository = stack.given("ImageRepositoryArn")
    pull = {repository} if repository else set()
    check_role(
        stack,
        "ExecutionRole",
        {
            "logs:CreateLogStream": {"<LogGroup.Arn>"},
            "logs:PutLogEvents": {"<LogGroup.Arn>"},
            "ecr:BatchCheckLayerAvailability": pull,
            "ecr:BatchGetImage": pull,
            "ecr:GetDownloadUrlForLayer": pull,
            "ecr:GetAuthorizationToken": {"*"} if repository else set(),
        },
    )
    check_equal(stack.outputs["TaskRoleArn"], "<TaskRole.Arn>", "the output TaskRoleArn")


def check_role(stack, name, expected):
    granted = {action: set(resources) for action, resources in role_actions(stack, name, "").items()}
    check_equal(granted, {action: on for action, on in expected.items() if on}, f"what {name} may do")
    role = stack.properties(name)
    check_equal(role.get("PermissionsBoundary", ""), stack.given("PermissionsBoundaryArn"), f"the boundary of {name}")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    check_equal(trust["Principal"], {"Service": "ecs-tasks.amazonaws.com"}, f"who has {name}")


def check_log(stack):
    log = stack.properties("LogGroup")
    check_equal(log["RetentionInDays"], stack.given("LogRetentionDays"), "the days of the log")
    check_equal(log.get("KmsKeyId", ""), stack.given("KmsKeyArn"), "the key of the log")
    topic = [stack.given("AlarmTopicArn")] if stack.given("AlarmTopicArn") else None
    alarm = stack.properties("IncompleteLoadAlarm")
    for actions in ("AlarmActions", "OKActions"):
        check_equal(alarm.get(actions), topic, f"{actions} of IncompleteLoadAlarm")
    (transformation,) = stack.properties("IncompleteLoads")["MetricTransformations"]
    check_equal(alarm["MetricName"], transformation["MetricName"], "the metric of IncompleteLoadAlarm")


def check_scaling(stack):
    """Waiting messages add tasks; tasks end only when no message is in work either."""
    alarms = {"WaitingAlarm", "IdleAlarm", "IncompleteLoadAlarm"}
    check_equal(stack.of_type("AWS::CloudWatch::Alarm"), alarms, "the set of alarms")
    seen = {}
    for name in ("WaitingAlarm", "IdleAlarm"):
        metrics = alarm_metrics(stack.properties(name))
        seen[name] = {metric["MetricName"].removeprefix("ApproximateNumberOfMessages") for metric in metrics}
        for metric in metrics:
            check_equal(metric["Dimensions"], [{"Name": "QueueName", "Value": "large-objects"}], f"the queue of {name}")
    check_equal(seen, {"WaitingAlarm": {"Visible"}, "IdleAlarm": {"Visible", "NotVisible"}}, "what the alarms watch")
    idle, waiting = stack.properties("IdleAlarm"), stack.properties("WaitingAlarm")
    check_equal(idle["Metrics"][-1]["Expression"], "waiting + working", "the sum of IdleAlarm")
    check_equal(idle["EvaluationPeriods"], stack.given("IdleMinutes"), "the minutes of IdleAlarm")
    check_equal((idle["Threshold"], idle["ComparisonOperator"]), (0, "LessThanOrEqualToThreshold"), "idleness")
    check_equal((waiting["Threshold"], waiting["ComparisonOperator"]), (1, "GreaterThanOrEqualToThreshold"), "waiting")
    check_equal(waiting["AlarmActions"], ["<AddTasks>"], "what WaitingAlarm does")
    check_equal(idle["AlarmActions"], ["<EndTasks>"], "what IdleAlarm does")
    add = stack.properties("AddTasks")["StepScalingPolicyConfiguration"]
    check_equal(add["AdjustmentType"], "ChangeInCapacity", "how AddTasks counts")
    check(all(step["ScalingAdjustment"] > 0 for step in add["StepAdjustments"]), "AddTasks can end tasks")
    ends = [(step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")) for step in add["StepAdjustments"]]
    gapless = all(left[1] == right[0] for left, right in zip(ends, ends[1:]))
    check(ends[0][0] == 0 and ends[-1][1] is None and gapless, f"AddTasks leaves a gap: {ends}")
    end = stack.properties("EndTasks")["StepScalingPolicyConfiguration"]
    check_equal(end["AdjustmentType"], "ExactCapacity", "how EndTasks counts")
    steps = [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": stack.parameters["MinTasks"]}]
    check_equal(end["StepAdjustments"], steps, "what EndTasks leaves")


CHECKS = [check_task, check_environment, check_service, check_rights, check_log, check_scaling]


def check_likeness(template, ingest):
    """The worker is the function in another place: the same variables, and parameters that mean the same."""
    function = ingest["Resources"]["IngestFunction"]["Properties"]["Environment"]["Variables"]
    (only,) = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    variables = {}
    for entry in only["Environment"]:
        # Of !If the branch that is a variable.
        branches = entry["Fn::If"][1:] if "Fn::If" in entry else [entry]
        variables |= {branch["Name"]: branch["Value"] for branch in branches if "Name" in branch}
    check_equal(set(variables), set(function) - NOT_OF_THE_WORKER, "the set of variables of the worker")
    for name in variables.keys() - OF_ITS_OWN:
        check_equal(variables[name], function[name], f"the variable {name}")
    for name in (template["Parameters"].keys() & ingest["Parameters"].keys()) - SIZED_OTHERWISE:
        ours, theirs = (
            {key: value for key, value in one["Parameters"][name].items() if key != "Description"}
            for one in (template, ingest)
        )
        check_equal(ours, theirs, f"the parameter {name}")


def check_all(template, ingest):
    check_parameters(template)
    check_likeness(template, ingest)
    for name, given in COMBINATIONS.items():
        try:
            stack = Stack(template, complete(given))
            broken = stack.broken_rule()
            check(not broken, f"a rule of the template refuses it: {broken}")
            for one in CHECKS:
                one(stack)
        except Failure as failure:
            raise Failure(f'with the combination "{name}": {failure}') from failure
        print(f"ok       worker, {name}: {len(stack.ids)} resources")
    for name, given in REFUSED.items():
        check(Stack(template, complete(given)).broken_rule(), f"no rule of the template refuses: {name}")
        print(f"refused  worker, {name}")


def lint(path):
    sets = [[f"{name}={value}" for name, value in complete(given).items()] for given in COMBINATIONS.values()]
    run("cfn-lint", "--template", str(path), *(part for one in sets for part in ("--parameters", *one)))
