"""The server of llama.cpp, with a model of one layer and made-up weights: it says nonsense, and counts its tokens as any other model does.
Arguments: a folder for the model's file, and a port. Format of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import random
import signal
import struct
import sys

import xllamacpp

WIDTH, INNER, HEADS = 64, 128, 2
# One token for each byte, behind the three that every vocabulary has. A type says what a token is: 2 unknown, 3 control, 6 byte.
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
TOKEN_TYPES = [2, 3, 3, *[6] * 256]


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key, value):
    """A key with its type and value; a list is an array of its first item's type. Single integers are unsigned, those of an array are not."""
    kinds = {int: (4, lambda one: struct.pack("<I", one)), float: (6, lambda one: struct.pack("<f", one)), str: (8, text)}
    if isinstance(value, list):
        kinds[int] = (5, kinds[int][1])
        number, pack = kinds[type(value[0])]
        return text(key) + struct.pack("<IIQ", 9, number, len(value)) + b"".join(map(pack, value))
    number, pack = kinds[type(value)]
    return text(key) + struct.pack("<I", number) + pack(value)


def write_model(path):
    of = {
        "context_length": 2048,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": WIDTH // HEADS,
        "vocab_size": len(TOKENS),
    }
    tokenizer = {
        "model": "llama",
        "tokens": TOKENS,
        "scores": [0.0] * len(TOKENS),
        "token_type": TOKEN_TYPES,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    entries = [entry("general.architecture", "llama")]
    entries += [entry(f"llama.{key}", value) for key, value in of.items()]
    entries += [entry(f"tokenizer.ggml.{key}", value) for key, value in tokenizer.items()]
    # Shapes as GGUF has them: the innermost dimension first.
    square, up, down, vocabulary = (WIDTH, WIDTH), (WIDTH, INNER), (INNER, WIDTH), (WIDTH, len(TOKENS))
    block = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square, "ffn_gate": up, "ffn_up": up, "ffn_down": down}
    shapes = {"token_embd": vocabulary, "output": vocabulary, "output_norm": (WIDTH,)}
    shapes |= {f"blk.0.{name}": shape for name, shape in {**block, "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}.items()}
    weights, described, data = random.Random(7), b"", b""
    for name, shape in shapes.items():
        described += text(f"{name}.weight") + struct.pack("<I", len(shape))
        described += b"".join(struct.pack("<Q", size) for size in shape) + struct.pack("<IQ", 0, len(data))
        size = shape[0] * (shape[1] if len(shape) == 2 else 1)
        values = [1.0] * size if len(shape) == 1 else [weights.gauss(0, 0.1) for _ in range(size)]
        data += struct.pack(f"<{size}f", *values)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(entries)) + b"".join(entries) + described
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


model = f"{sys.argv[1]}/tiny.gguf"
write_model(model)
options = xllamacpp.CommonParams()
options.model.path = model
options.hostnames = ["127.0.0.1"]
options.port = int(sys.argv[2])
options.n_ctx = 1024
options.n_parallel = 1
options.chat_template = "chatml"
options.endpoint_metrics = True
options.cache_prompt = False
options.cpuparams.n_threads = 1
server = xllamacpp.Server(options)
signal.pause()
