"""Writes gguf_types.gguf (one tensor of every type that attune reads, random blocks) and
gguf_types.safetensors (the float32 values that the `gguf` package gives for them, and cases of
rounding to bfloat16: "bf16_cases" and, as 16-bit patterns, "bf16_rounded").

    python tests/golden/gguf_types.py        needs the packages gguf, numpy, safetensors

Blocks are random bits, so that every quant, scale and minimum occurs; only the float16 scales are
drawn, from both signs, subnormal numbers and zeros, since random bits would be NaN or infinite.
"""

import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
rng = np.random.default_rng(20260717)

# Type: elements a block, bytes a block, places of its float16 numbers.
BLOCKS = {
    T.Q8_0: (32, 34, [0]),
    T.Q4_0: (32, 18, [0]),
    T.Q4_1: (32, 20, [0, 2]),
    T.Q5_0: (32, 22, [0]),
    T.Q5_1: (32, 24, [0, 2]),
    T.Q4_K: (256, 144, [0, 2]),
    T.Q5_K: (256, 176, [0, 2]),
    T.Q6_K: (256, 210, [208]),
}


def random_halves(count):
    values = (rng.standard_normal(count) * 10.0 ** rng.integers(-5, 1, count)).astype(np.float16)
    values[::7] = np.float16(6e-8)  # the smallest subnormal number
    values[3::11] = 0
    return values


def random_rows(qtype, rows, blocks_per_row):
    _, size, halves = BLOCKS[qtype]
    blocks = rng.integers(0, 256, (rows * blocks_per_row, size), dtype=np.uint8)
    for place in halves:
        numbers = random_halves(len(blocks)).view(np.uint8).reshape(-1, 2)
        blocks[:, place : place + 2] = numbers
    return blocks.reshape(rows, blocks_per_row * size)


def main():
    writer = gguf.GGUFWriter(HERE / "gguf_types.gguf", "none")
    writer.add_uint8("test.uint8", 251)
    writer.add_int8("test.int8", -101)
    writer.add_uint16("test.uint16", 65521)
    writer.add_int16("test.int16", -30011)
    writer.add_uint32("test.uint32", 4294967291)
    writer.add_int32("test.int32", -2147483629)
    writer.add_uint64("test.uint64", 2**64 - 59)
    writer.add_int64("test.int64", -(2**62) - 7)
    writer.add_float32("test.float32", 0.15625)
    writer.add_float64("test.float64", 0.1)
    writer.add_bool("test.bool", True)
    writer.add_string("test.string", "käse \U0001f9c0")
    writer.add_array("test.strings", ["a", "", "bc"])
    writer.add_array("test.ints", [2, -3, 5])
    writer.add_array("test.floats", [0.5, -0.25])
    writer.add_array("test.bools", [True, False, True])

    expected = {}

    def add(name, data, raw_dtype=None, values=None):
        writer.add_tensor(name, data, raw_dtype=raw_dtype)
        if values is not None:
            expected[name] = np.ascontiguousarray(values, dtype=np.float32)

    with np.errstate(all="ignore"):
        halves = np.concatenate(
            [random_halves(128), np.array([np.inf, -np.inf, -0.0, 65504, 6.1e-5, 6e-5], np.float16)]
        )[:133].reshape(7, 19)
        singles = rng.standard_normal((7, 19)).astype(np.float32) * 1e-38
        doubles = rng.standard_normal((7, 19)) * 10.0 ** rng.integers(-50, 39, (7, 19))
        add("f16", halves, values=halves.astype(np.float32))
        add("f32", singles, values=singles)
        add("f64", doubles, values=doubles.astype(np.float32))
        brains = rng.integers(0, 0x7F80, (7, 19), dtype=np.uint16)
        add(
            "bf16",
            brains.view(np.uint8),
            T.BF16,
            gguf.quants.dequantize(brains.view(np.uint8), T.BF16),
        )
        for qtype, (elements, _, _) in BLOCKS.items():
            rows, blocks_per_row = (3, 5) if elements == 32 else (3, 1)
            data = random_rows(qtype, rows, blocks_per_row)
            add(qtype.name.lower(), data, qtype, gguf.quants.dequantize(data, qtype))
    for bits in (8, 16, 32, 64):
        info = np.iinfo(f"int{bits}")
        add(f"i{bits}", np.array([[info.min, -1, 0], [1, 2, info.max]], dtype=f"int{bits}"))

    # Rounding to bfloat16: ties to even both ways, overflow to infinity, subnormal numbers, NaN.
    words = rng.integers(0, 2**32, 512, dtype=np.uint32)
    words[:12] = [
        0x3F808000,
        0x3F818000,
        0x3F807FFF,
        0x3F808001,
        0x7F7FFFFF,
        0xFF7FFFFF,
        0x00008000,
        0x00000001,
        0x80018000,
        0x7F800000,
        0x7FC00000,
        0x7F800001,
    ]
    expected["bf16_cases"] = words.view(np.float32)
    expected["bf16_rounded"] = gguf.quants.quantize(words.view(np.float32), T.BF16).view(np.int16)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "gguf_types.safetensors", metadata={"made_by": "gguf_types.py"})


if __name__ == "__main__":
    main()
