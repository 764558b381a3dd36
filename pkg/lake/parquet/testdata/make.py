"""Writes the Parquet files beside it with pyarrow (26.0.1), and what a reader has to make of each as lines of JSON."""

import base64, datetime as dt, decimal, json, math, uuid

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 24
decimal.getcontext().prec = 60


def stamp(n, digits, utc):
    """n units since 1970 as text, the fraction left out when it is zero."""
    seconds, fraction = divmod(n, 10**digits)
    t = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)
    return t.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction:0{digits}d}" if fraction else "") + ("Z" if utc else "")


def clock(n, digits):
    seconds, fraction = divmod(n, 10**digits)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" + (f".{fraction:0{digits}d}" if fraction else "")


def number(text):
    """A number of JSON as it has to be written: json.dumps would round it."""
    return "\0" + text + "\0"


def line(row):
    return json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False, separators=(",", ":")).replace('"\\u0000', "").replace('\\u0000"', "")


def write(name, columns, rows, **options):
    schema = pa.schema([(n, t) for n, t, _ in columns])
    arrays = [pa.array(values, type=t) for _, t, values in columns]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), name + ".parquet", row_group_size=10, data_page_size=200, write_page_checksum=True, **options)
    with open(name + ".ndjson", "w") as f:
        f.writelines(line(r) + "\n" for r in rows)


def sparse(i, value):
    return None if i % 5 == 3 else value


def kinds():
    made = [
        ("bool", pa.bool_(), lambda i: (i % 3 == 0,) * 2),
        ("i8", pa.int8(), lambda i: (i - 12,) * 2),
        ("u8", pa.uint8(), lambda i: (200 + i,) * 2),
        ("u16", pa.uint16(), lambda i: (65000 + i,) * 2),
        ("u32", pa.uint32(), lambda i: (2**32 - 1 - i,) * 2),
        ("i64", pa.int64(), lambda i: (-(2**63) + i,) * 2),
        ("u64", pa.uint64(), lambda i: (2**64 - 1 - i,) * 2),
        ("f16", pa.float16(), lambda i: (i / 8, number(str(i / 8).removesuffix(".0")))),
        ("f32", pa.float32(), lambda i: (i / 4, number(str(i / 4).removesuffix(".0")))),
        ("f64", pa.float64(), lambda i: (i * 0.1, number(str(i * 0.1).removesuffix(".0")))),
        ("text", pa.string(), lambda i: (f'a"\\\n\t{i}\x01é😀',) * 2),
        ("bytes", pa.binary(), lambda i: (bytes([255, i]), base64.b64encode(bytes([255, i])).decode())),
        ("fixed", pa.binary(3), lambda i: (bytes([i, 254, 7]), base64.b64encode(bytes([i, 254, 7])).decode())),
        ("uuid", pa.uuid(), lambda i: (uuid.UUID(int=i * 7919).bytes, str(uuid.UUID(int=i * 7919)))),
        ("small", pa.decimal128(7, 2), lambda i: (decimal.Decimal(i - 3) / 100, number(str((decimal.Decimal(i - 3) / 100).quantize(decimal.Decimal("0.01")))))),
        ("mid", pa.decimal128(15, 5), lambda i: (decimal.Decimal(i * 1234567) / 100000, number(str((decimal.Decimal(i * 1234567) / 100000).quantize(decimal.Decimal("0.00001")))))),
        ("big", pa.decimal256(50, 0), lambda i: (decimal.Decimal(10) ** 45 * -i + 1, number(str(-i * 10**45 + 1)))),
        ("date", pa.date32(), lambda i: (i * 500 - 3000, str(dt.date(1970, 1, 1) + dt.timedelta(days=i * 500 - 3000)))),
        ("ms", pa.timestamp("ms", "UTC"), lambda i: (i * 86399999 - 5, stamp(i * 86399999 - 5, 3, True))),
        ("us", pa.timestamp("us"), lambda i: (i * 10**12 + i, stamp(i * 10**12 + i, 6, False))),
        ("ns", pa.timestamp("ns", "Asia/Tokyo"), lambda i: (i * 10**15, stamp(i * 10**15, 9, True))),
        ("t32", pa.time32("ms"), lambda i: (i * 3600001 % 86400000, clock(i * 3600001 % 86400000, 3))),
        ("t64", pa.time64("ns"), lambda i: (i * 3600000000000, clock(i * 3600000000000, 9))),
        ("json", pa.json_(), lambda i: (json.dumps({"n": [i, None]}, separators=(",", ":")), {"n": [i, None]})),
    ]
    columns, rows = [], [{} for _ in range(ROWS)]
    for c, (name, kind, value) in enumerate(made):
        columns.append((name, kind, [sparse(i + c, value(i)[0]) for i in range(ROWS)]))
        for i in range(ROWS):
            rows[i][name] = sparse(i + c, value(i)[1])
    return columns, rows


def nested():
    columns, rows = [], [{} for _ in range(ROWS)]

    def add(name, kind, value, seen=lambda v: v):
        columns.append((name, kind, [value(i) for i in range(ROWS)]))
        for i in range(ROWS):
            rows[i][name] = seen(value(i))

    add("list", pa.list_(pa.int32()), lambda i: None if i % 7 == 2 else [None if j == 1 else i + j for j in range(i % 4)])
    add("lists", pa.list_(pa.list_(pa.string())), lambda i: [None if j == 2 else ["x" * j] * j for j in range(i % 4)])
    add("map", pa.map_(pa.string(), pa.int64()), lambda i: [(f"k{j}", None if j == 1 else j) for j in range(i % 3)], lambda v: dict(v))
    add("numbered", pa.map_(pa.int32(), pa.string()), lambda i: [(j, "v") for j in range(i % 3)], lambda v: {str(a): b for a, b in v})
    bare = lambda v: v and {a: b for a, b in v.items() if b is not None}
    add("group", pa.struct([("a", pa.int32()), ("b", pa.string())]), lambda i: None if i % 6 == 4 else {"a": i, "b": sparse(i, "b")}, bare)
    add("groups", pa.list_(pa.struct([("a", pa.int32()), ("b", pa.string())])), lambda i: [{"a": sparse(i + j, j), "b": "c"} for j in range(i % 3)], lambda v: [bare(x) for x in v])
    return columns, rows


columns, rows = kinds()
write("kinds-v1-snappy", columns, rows, compression="snappy", data_page_version="1.0")
write("kinds-v2-zstd", columns, rows, compression="zstd", data_page_version="2.0", use_dictionary=False)
delta = {"i64": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY", "f64": "BYTE_STREAM_SPLIT", "bool": "RLE", "fixed": "DELTA_BYTE_ARRAY"}
some = [c for c in columns if c[0] in delta]
write("encodings-brotli", some, [{k: v for k, v in r.items() if k in delta} for r in rows], compression="brotli", data_page_version="2.0", use_dictionary=False, column_encoding=delta)
columns, rows = nested()
write("nested-v1-gzip", columns, rows, compression="gzip", data_page_version="1.0")
write("nested-v2-lz4", columns, rows, compression="lz4", data_page_version="2.0")
times = [i * 10**15 + i for i in range(ROWS)]
write("int96", [("ts", pa.timestamp("ns"), times)], [{"ts": stamp(n, 9, True)} for n in times], compression="none", use_deprecated_int96_timestamps=True)
floats = [math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, -0.0]
write("floats", [("x", pa.float64(), floats)], [{"x": v} for v in ["Infinity", "-Infinity", "NaN", number("5e-324"), number("1.7976931348623157e+308"), number("-0")]], compression="none")
write("empty", [("user_id", pa.string(), []), ("ts", pa.int64(), [])], [])
