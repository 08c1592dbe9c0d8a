"""Speaks to the local cloud: deploys the template, reads the function's log.

The endpoint, the region and the credentials come from the environment, as for every AWS client. Each command prints
one JSON value.
"""

import argparse
import json
import pathlib
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from samtranslator.yaml_helper import yaml_parse

FUNCTION = "IngestFunction"
CODE_BUCKET = "flatfire-local-code"
CODE_KEY = "ingest/bootstrap.zip"


def client(service):
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}, read_timeout=60)
    return boto3.client(service, config=config)


def upload_code(bootstrap):
    """Puts the function's zip where `sam package` would put it."""
    s3 = client("s3")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.upload_file(str(bootstrap), CODE_BUCKET, CODE_KEY)
    return f"s3://{CODE_BUCKET}/{CODE_KEY}"


def packaged(template, code_uri, is_fed):
    """The template as `sam package` writes it: the same, but the code stands in a bucket."""
    document = yaml_parse(template.read_text())
    function = document["Resources"][FUNCTION]["Properties"]
    function["CodeUri"] = code_uri
    if not is_fed:
        del function["Events"]["Notifications"]
    return json.dumps(document)


def store_secret(stack, connection_string):
    secrets = client("secretsmanager")
    return secrets.create_secret(Name=f"{stack}/mongodb", SecretString=connection_string)["ARN"]


def retype_concurrency():
    """AWS makes a number of a Number parameter; the local cloud leaves text there, and its poller compares it."""
    functions = client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        concurrency = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": concurrency}
        )


def failed_events(cloudformation, stack):
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]


def deploy(arguments):
    parameters = dict(pair.split("=", 1) for pair in arguments.parameter)
    parameters["MongodbSecretArn"] = store_secret(arguments.stack, sys.stdin.read())
    body = packaged(arguments.template, upload_code(arguments.bootstrap), not arguments.queue_for_worker)
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=arguments.stack,
        TemplateBody=body,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    try:
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=arguments.stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    except WaiterError as error:
        sys.exit("\n".join(["the stack was not created", *failed_events(cloudformation, arguments.stack), str(error)]))
    retype_concurrency()
    stack = cloudformation.describe_stacks(StackName=arguments.stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def environment(arguments):
    """The variables that the template gives the function."""
    return client("lambda").get_function_configuration(FunctionName=arguments.function)["Environment"]["Variables"]


def log(arguments):
    """The messages of a log group, oldest first."""
    pages = client("logs").get_paginator("filter_log_events").paginate(logGroupName=arguments.group)
    return [event["message"].rstrip() for page in pages for event in page["events"]]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("deploy", help="the connection string is read from standard input")
    command.add_argument("--template", type=pathlib.Path, required=True)
    command.add_argument("--bootstrap", type=pathlib.Path, required=True)
    command.add_argument("--stack", required=True)
    command.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    command.add_argument("--queue-for-worker", action="store_true", help="leave the queue to a worker")
    command.set_defaults(run=deploy)
    command = commands.add_parser("environment")
    command.add_argument("--function", required=True)
    command.set_defaults(run=environment)
    command = commands.add_parser("log")
    command.add_argument("--group", required=True)
    command.set_defaults(run=log)
    return parser.parse_args()


def main():
    chosen = arguments()
    try:
        json.dump(chosen.run(chosen), sys.stdout)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"the local cloud refused: {error}")


if __name__ == "__main__":
    main()
