// When a JPEG was taken, from its Exif header (CIPA DC-008). Everything is bounds-checked by DataView: a broken header
// throws a RangeError, which means "not known".

const DATE_TAKEN = 0x9003;
const DATE_CHANGED = 0x0132;
const EXIF_BLOCK = 0x8769;

/** Unix milliseconds, or 0 when the file does not say. */
export async function takenAt(file) {
  if (!/jpe?g$/i.test(file.type) && !/\.jpe?g$/i.test(file.name)) return 0;
  try {
    return read(new DataView(await file.slice(0, 256 * 1024).arrayBuffer()));
  } catch (error) {
    if (error instanceof RangeError) return 0;
    throw error;
  }
}

function read(view) {
  if (view.getUint16(0) !== 0xffd8) return 0;
  for (let at = 2; view.getUint8(at) === 0xff;) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (marker === 0xe1 && view.getUint32(at + 4) === 0x45786966) return fromTiff(new DataView(view.buffer, at + 10));
    if (marker === 0xda || length < 2) return 0;
    at += 2 + length;
  }
  return 0;
}

function fromTiff(view) {
  const little = view.getUint16(0) === 0x4949;
  const first = entries(view, view.getUint32(4, little), little);
  const block = first.get(EXIF_BLOCK);
  const taken = block === undefined ? undefined : entries(view, view.getUint32(block + 8, little), little).get(DATE_TAKEN);
  const entry = taken ?? first.get(DATE_CHANGED);
  return entry === undefined ? 0 : date(view, view.getUint32(entry + 8, little));
}

/** Tag → place of its entry. */
function entries(view, at, little) {
  const found = new Map();
  const count = Math.min(view.getUint16(at, little), 200);
  for (let index = 0; index < count; index += 1) {
    const entry = at + 2 + index * 12;
    found.set(view.getUint16(entry, little), entry);
  }
  return found;
}

/** "2026:11:21 10:05:00", in the time of the place where the camera was, read as local time. */
function date(view, at) {
  let text = '';
  for (let index = 0; index < 19; index += 1) text += String.fromCharCode(view.getUint8(at + index));
  const found = /^(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  if (!found || found[1] === '0000') return 0;
  const [, year, month, day, hour, minute, second] = found.map(Number);
  return new Date(year, month - 1, day, hour, minute, second).getTime();
}
