// Small versions, made in the browser: the server keeps files and does not look into them.

/** `{ blob, width, height }` for a picture this browser can show, otherwise null; the smaller side is `edge` pixels at most. */
export async function small(file, edge = 480) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return null; // for instance HEIC: kept and downloadable, shown as a card with its name
  }
  const { width, height } = picture;
  const scale = Math.min(1, edge / Math.min(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  // A panorama is not to become a wide small version: what a square shows is enough.
  const context = canvas.getContext('2d', { alpha: false });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.82));
  return blob && { blob, width, height };
}
