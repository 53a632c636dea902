"""Each library asks once; prints one JSON line: what came back and what the library says was used. URL is the sidecar."""
import json
import os
import sys

url = os.environ['WEIR']
prompt = 'How much water went through the gate?'


def openai_chat():
    from openai import OpenAI
    answer = OpenAI(base_url=f'{url}/v1').chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': prompt}])
    return answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens


def openai_responses():
    from openai import OpenAI
    with OpenAI(base_url=f'{url}/v1').responses.stream(model='gpt-4o', input=prompt) as stream:
        answer = stream.get_final_response()
    return answer.output_text, answer.usage.input_tokens, answer.usage.output_tokens


def anthropic():
    from anthropic import Anthropic
    with Anthropic(base_url=url).messages.stream(model='claude-sonnet-5-5', max_tokens=500, messages=[{'role': 'user', 'content': prompt}]) as stream:
        answer = stream.get_final_message()
    usage = answer.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return answer.content[0].text, usage.input_tokens + cached, usage.output_tokens


def google():
    from google import genai
    client = genai.Client(api_key='made-up', http_options={'base_url': url})
    answer = client.models.generate_content(model='gemini-2.5-flash', contents=prompt)
    usage = answer.usage_metadata
    return answer.text, usage.prompt_token_count, usage.candidates_token_count + (usage.thoughts_token_count or 0)


def langchain_openai():
    from langchain_openai import ChatOpenAI
    whole = None
    for chunk in ChatOpenAI(model='gpt-4o', base_url=f'{url}/v1', stream_usage=True).stream(prompt):
        whole = chunk if whole is None else whole + chunk
    return whole.text, whole.usage_metadata['input_tokens'], whole.usage_metadata['output_tokens']


def langchain_anthropic():
    from langchain_anthropic import ChatAnthropic
    answer = ChatAnthropic(model='claude-sonnet-5-5', base_url=url, max_tokens=500).invoke(prompt)
    return answer.text, answer.usage_metadata['input_tokens'], answer.usage_metadata['output_tokens']


def llama_index():
    from llama_index.llms.openai import OpenAI
    answer = OpenAI(model='gpt-4o', api_base=f'{url}/v1').complete(prompt)
    usage = answer.raw.usage
    return answer.text, usage.prompt_tokens, usage.completion_tokens


text, read, written = globals()[sys.argv[1]]()
print(json.dumps({'text': text, 'input': read, 'output': written}))
