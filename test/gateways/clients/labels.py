"""What Python programs send: a chat by OpenAI's client and one by Anthropic's, each with what says whom it is for. Arguments: the sidecar's address."""
import sys

from anthropic import Anthropic
from openai import OpenAI

url = sys.argv[1]
messages = [{"role": "user", "content": "How much water went through the gate?"}]
headers = {"x-team": "search", "baggage": "tenant=blue%20sky,other=1"}

openai = OpenAI(base_url=f"{url}/v1", api_key="test-openai", max_retries=0, default_headers=headers)
for _ in openai.chat.completions.create(model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}, user="u-openai", metadata={"customer": "c-1"}):
    pass

anthropic = Anthropic(base_url=url, api_key="test-anthropic", max_retries=0, default_headers=headers)
with anthropic.messages.stream(model="claude-sonnet-4-5", max_tokens=64, messages=messages, metadata={"user_id": "u-anthropic"}) as stream:
    for _ in stream.text_stream:
        pass
