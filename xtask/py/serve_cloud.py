"""Runs the local cloud as if a TLS terminator stood before it.

The cloud speaks plain HTTP on one address of this machine and enforces the template's policies, also the ones that refuse
requests without TLS. A load balancer would say in a header that the request came over TLS; here this file says it.
It also lets the `*` of a policy stand for line breaks, as in AWS: the cloud denies keys that have one.

usage: serve_cloud.py PORT [ADDRESS]

ADDRESS is 127.0.0.1; containers need that of their engine's bridge.
"""

import asyncio
import re
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_evaluator

TLS_HEADER = (b"x-forwarded-proto", b"https")


async def behind_tls(scope, receive, send):
    if scope["type"] == "http":
        scope = {**scope, "headers": [*scope["headers"], TLS_HEADER]}
    await app(scope, receive, send)


def match_line_breaks(compile_pattern):
    """Wraps what makes an expression of a policy's pattern."""

    def compiled(*arguments):
        expression = compile_pattern(*arguments)
        return re.compile(expression.pattern, expression.flags | re.DOTALL)

    return compiled


def main():
    iam_evaluator._fnmatch_compile = match_line_breaks(iam_evaluator._fnmatch_compile)
    config = Config()
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    config.bind = [f"{address}:{int(sys.argv[1])}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(behind_tls, config))


if __name__ == "__main__":
    main()
