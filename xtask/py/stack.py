"""Evaluates a CloudFormation template as CloudFormation does, for the scripts that check templates."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/flatfire/1",
    "AWS::StackName": "flatfire",
    "AWS::URLSuffix": "amazonaws.com",
}


class Failure(Exception):
    """The template is not as it should be."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(actual, expected, what):
    check(actual == expected, f"{what} is {actual!r}, and should be {expected!r}")


# --- evaluating the template -------------------------------------------------------------------------------------

NO_VALUE = object()


class Stack:
    """The resources of the template with one combination of parameter values."""

    def __init__(self, template, given):
        self.template = template
        self.parameters = parameter_values(template, given)
        self.conditions = {}
        self.references = {}
        self.ids = {
            name for name, resource in template["Resources"].items() if self.holds(resource.get("Condition"))
        }
        self.resources = {}
        for name in sorted(self.ids):
            resource = template["Resources"][name]
            self.need(resource.get("DependsOn", []), name)
            self.resources[name] = {**resource, "Properties": self.evaluate(resource.get("Properties", {}), name)}
        self.outputs = {
            name: self.evaluate(output["Value"], f"output {name}")
            for name, output in template["Outputs"].items()
            if self.holds(output.get("Condition"))
        }
        self.check_order()

    def properties(self, name):
        check(name in self.resources, f"there is no {name}")
        return self.resources[name]["Properties"]

    def given(self, name):
        """Returns the value of a parameter; empty text and 0 count as not given."""
        value = self.parameters[name]
        return "" if value == "0" else value

    def of_type(self, prefix):
        return {name for name, resource in self.resources.items() if resource["Type"].startswith(prefix)}

    def holds(self, condition):
        if condition is None:
            return True
        if condition not in self.conditions:
            check(condition in self.template["Conditions"], f"there is no condition {condition}")
            self.conditions[condition] = self.truth(self.template["Conditions"][condition])
        return self.conditions[condition]

    def truth(self, expression):
        """Evaluates a condition, or an assertion of a rule."""
        ((function, argument),) = expression.items()
        if function == "Condition":
            return self.holds(argument)
        if function == "Fn::Not":
            return not self.truth(argument[0])
        if function == "Fn::And":
            return all([self.truth(part) for part in argument])
        if function == "Fn::Or":
            return any([self.truth(part) for part in argument])
        if function == "Fn::Equals":
            left, right = (str(self.evaluate(side, "a condition")) for side in argument)
            return left == right
        raise Failure(f"this script does not know {function} in a condition")

    def need(self, names, where):
        for name in [names] if isinstance(names, str) else names:
            check(name in self.ids, f"{where} refers to {name}, which this combination does not make")
            self.references.setdefault(where, set()).add(name)

    def check_order(self):
        """CloudFormation makes each resource after those that it refers to, so no circle may exist."""
        waiting = set(self.ids)
        while waiting:
            ready = {name for name in waiting if not self.references.get(name, set()) & waiting}
            check(ready, f"some of these resources refer to each other in a circle: {', '.join(sorted(waiting))}")
            waiting -= ready

    def evaluate(self, value, where):
        if isinstance(value, list):
            items = [self.evaluate(item, where) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self.call(function, argument, where)
        members = {name: self.evaluate(member, where) for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not NO_VALUE}

    def call(self, function, argument, where):
        if function == "Ref":
            return self.reference(argument, where)
        if function == "Fn::GetAtt":
            name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            return self.attribute(name, attribute, where)
        if function == "Fn::If":
            condition, then, otherwise = argument
            return self.evaluate(then if self.holds(condition) else otherwise, where)
        if function == "Fn::Sub":
            text, values = (argument, {}) if isinstance(argument, str) else argument
            values = self.evaluate(values, where)
            replaced = lambda found: values.get(found[1]) or self.substitute(found[1], where)
            return re.sub(r"\$\{([^!}][^}]*)\}", replaced, text)
        if function == "Fn::Select":
            index, items = self.evaluate(argument, where)
            check(int(index) < len(items), f"Fn::Select finds no item {index}, in {where}")
            return items[int(index)]
        if function == "Fn::Split":
            separator, text = self.evaluate(argument, where)
            return text.split(separator)
        if function == "Fn::Join":
            separator, parts = self.evaluate(argument, where)
            return separator.join(parts)
        if function == "Fn::FindInMap":
            mapping, first, second = self.evaluate(argument, where)
            check(first in self.template["Mappings"][mapping], f"the mapping {mapping} has no {first}")
            return self.template["Mappings"][mapping][first][second]
        raise Failure(f"this script does not know {function}, in {where}")

    def reference(self, name, where):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.parameters:
            return self.parameters[name]
        self.need(name, where)
        return f"<{name}>"

    def attribute(self, name, attribute, where):
        self.need(name, where)
        return f"<{name}.{attribute}>"

    def substitute(self, name, where):
        if "." in name:
            return self.attribute(*name.split(".", 1), where)
        return str(self.reference(name, where))

    def broken_rule(self):
        """Returns what the first rule says that these values break, if there is one."""
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" in rule and not self.truth(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.truth(assertion["Assert"]):
                    return assertion["AssertDescription"]
        return None


def parameter_values(template, given):
    values = {}
    for name, declared in template["Parameters"].items():
        check(name in given or "Default" in declared, f"{name} has no default, and the combination does not give it")
        value = str(given.get(name, declared.get("Default")))
        if declared["Type"] == "Number":
            check(float(value) >= declared.get("MinValue", float("-inf")), f"{name}={value} is below its minimum")
            check(float(value) <= declared.get("MaxValue", float("inf")), f"{name}={value} is above its maximum")
        allowed = [str(one) for one in declared.get("AllowedValues", [value])]
        check(value in allowed, f"{name}={value} is not among its values")
        check(re.fullmatch(declared.get("AllowedPattern", ".*"), value, re.DOTALL), f"{name}={value} has another form")
        values[name] = value
    unknown = given.keys() - values.keys()
    check(not unknown, f"the template has no parameter {', '.join(sorted(unknown))}")
    return values


# --- reading the resources ---------------------------------------------------------------------------------------


def statements(document):
    found = document["Statement"]
    return found if isinstance(found, list) else [found]


def listed(value):
    return value if isinstance(value, list) else [value]


def by_sid(document, sid):
    found = [statement for statement in statements(document) if statement.get("Sid") == sid]
    check(len(found) == 1, f"{len(found)} statements are called {sid}, and one should be")
    return found[0]


def role_statements(stack, role):
    policies = stack.properties(role).get("Policies", [])
    return [statement for policy in policies for statement in statements(policy["PolicyDocument"])]


def role_actions(stack, role, service):
    """Returns the resources of each action of a service that the role has."""
    found = {}
    for statement in role_statements(stack, role):
        for action in listed(statement["Action"]):
            if action.startswith(service):
                found.setdefault(action, []).extend(listed(statement["Resource"]))
    return found


def alarm_metrics(alarm):
    """Returns the metrics that an alarm reads, also within an expression."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def check_parameters(template):
    """Each parameter has a sentence and a place in the console's form."""
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    check_equal(sorted(grouped), sorted(template["Parameters"]), "the list of parameters in ParameterGroups")
    for name, declared in template["Parameters"].items():
        check(declared.get("Description", "").endswith("."), f"{name} has no sentence as its description")


# --- the linters -------------------------------------------------------------------------------------------------


def run(program, *arguments, text=None):
    """Runs a program that stands beside this script's Python, with a text as its input."""
    path = pathlib.Path(sys.executable).parent / program
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    ended = subprocess.run(
        [path, *arguments], cwd=ROOT, env=environment, input=text or "", capture_output=True, text=True, check=False
    )
    check(ended.returncode == 0, f"{program} complains:\n{ended.stdout}{ended.stderr}")
    print(f"ok       {program}")
