// What becomes of an uploaded picture: its original as it is, a small version, and a record that names both.

import { files, table } from './kit/api.js';
import { small } from './kit/small.js';
import { takenAt } from './exif.js';

const photos = table('photos');

export const originals = {
  place({ id, name }) {
    const ending = /\.([A-Za-z0-9]{1,5})$/.exec(name)?.[1].toLowerCase() ?? 'bin';
    return { folder: 'originals', name: `${id}.${ending}` };
  },

  async finish({ id, file, more }, done) {
    const picture = await small(file);
    const thumb = picture ? (await files.put('small', `${id}.jpg`, picture.blob))._id : '';
    const record = {
      name: file.name, file: done._id, thumb, type: file.type, size: file.size, width: picture?.width ?? 0, height: picture?.height ?? 0,
      taken_at: (await takenAt(file)) || file.lastModified, changed_at: file.lastModified, albums: more?.albums ?? [], deleted_at: 0,
    };
    return { ...record, ...await photos.upsert(id, record), _id: id };
  },
};
