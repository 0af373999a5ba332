# SPDX-License-Identifier: Apache-2.0

"""As much of a client of SQS as the programs beside it need: Debian's boto3 speaks an older protocol than test servers do."""

import json
import os

import aiohttp


async def call(session, action, **args):
    headers = {"X-Amz-Target": "AmazonSQS." + action, "Content-Type": "application/x-amz-json-1.0"}
    async with session.post(os.environ["AWS_ENDPOINT_URL"], data=json.dumps(args), headers=headers) as response:
        body = await response.text()
        if response.status != 200:
            raise RuntimeError(f"{action}: {response.status} {body}")
        return json.loads(body) if body else {}
