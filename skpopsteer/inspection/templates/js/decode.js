// Arrays out of JSON: base64 of little-endian values.

const KINDS = {
  f4: Float32Array, f8: Float64Array, i1: Int8Array, i2: Int16Array,
  i4: Int32Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array,
};

function decodeArray({ kind, data }) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new KINDS[kind](bytes.buffer);
}

/** Replace every encoded array, at any depth, by a typed one. */
export function decode(value) {
  if (value === null || typeof value !== "object") return value;
  if (typeof value.kind === "string" && typeof value.data === "string") {
    return decodeArray(value);
  }
  for (const key of Object.keys(value)) value[key] = decode(value[key]);
  return value;
}
