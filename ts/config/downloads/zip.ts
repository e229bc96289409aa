// One file out of a zip file.

import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { open, type Entry, type ZipFile } from 'yauzl'

const openZip = promisify<string, { lazyEntries: boolean }, ZipFile>(open)

/**
 * Unpacks the file called `name` to `path`.
 * @throws Error if the archive is damaged or has no such file of `bytes` bytes.
 */
export async function unzipFile(archive: string, name: string, path: string, bytes: number): Promise<void> {
  const zip = await openZip(archive, { lazyEntries: true })
  try {
    const entry = await entryNamed(zip, name)
    if (entry.uncompressedSize !== bytes) throw new Error(`${name} in the archive has ${entry.uncompressedSize} bytes, not ${bytes}`)
    const stream = await promisify<Entry, NodeJS.ReadableStream>(zip.openReadStream.bind(zip))(entry)
    await pipeline(stream, createWriteStream(path))
  } finally {
    zip.close()
  }
}

function entryNamed(zip: ZipFile, name: string): Promise<Entry> {
  return new Promise((resolve, reject) => {
    zip.on('error', reject)
    zip.on('end', () => reject(new Error(`the archive has no ${name}`)))
    zip.on('entry', (entry: Entry) => (entry.fileName === name ? resolve(entry) : zip.readEntry()))
    zip.readEntry()
  })
}
