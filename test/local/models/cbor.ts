/** Reads what the SDK sends to CloudWatch, in CBOR: https://www.rfc-editor.org/rfc/rfc8949 */
export function fromCbor(bytes: Buffer): unknown {
  let at = 0;
  const take = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = (info: number): number => {
    if (info < 24) return info;
    if (info === 24) return take(1).readUInt8();
    if (info === 25) return take(2).readUInt16BE();
    if (info === 26) return take(4).readUInt32BE();
    return Number(take(8).readBigUInt64BE());
  };
  const several = (count: number) => Array.from({ length: count }, read);
  function read(): unknown {
    const head = take(1).readUInt8();
    const [type, info] = [head >> 5, head & 31];
    if (info === 31) throw new Error('A length that is not known is not supported');
    if (type === 7) {
      if (info === 20 || info === 21) return info === 21;
      if (info === 22 || info === 23) return undefined;
      if (info === 26) return take(4).readFloatBE();
      if (info === 27) return take(8).readDoubleBE();
      throw new Error(`The simple value ${info} is not supported`);
    }
    const value = number(info);
    if (type === 0) return value;
    if (type === 1) return -1 - value;
    if (type === 2) return take(value);
    if (type === 3) return take(value).toString();
    if (type === 4) return several(value);
    // A tag says what the next value is, such as a time.
    if (type === 6) return read();
    return Object.fromEntries(Array.from({ length: value }, () => [String(read()), read()]));
  }
  return read();
}
