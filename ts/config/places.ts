// The directories that a server writes to, looked at before it loads a model.

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServeOptions } from './options.js'
import { formatBytes, invalidOption } from './units.js'

/** Bytes that the tables of a data directory may come to need beside the disk tier. */
const TABLE_BYTES = 64 * 2 ** 20

/** The questions to the file system; a test answers for one that is full. */
export interface PlaceFacts {
  /** Bytes that this user may still write to the disk of a directory. */
  freeBytes(directory: string): Promise<number>
  /** Bytes of the disk of a directory, free or not. */
  diskBytes(directory: string): Promise<number>
}

const machine: PlaceFacts = {
  async freeBytes(directory) {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  },
  async diskBytes(directory) {
    const { blocks, bsize } = await statfs(directory)
    return blocks * bsize
  },
}

type PlaceOptions = Pick<ServeOptions, 'device' | 'noReuse' | 'ssdBytes' | 'ssdPath'>

/**
 * Makes the directories and checks that the server may write there as much as it must. A disk that is full is no obstacle
 * to a server that has been there before: it serves what is stored, and the ssd tier grows when there is room.
 * @throws ExitError with exit code 2 that names the option to change.
 */
export async function checkPlaces(options: PlaceOptions, dataDir: string, ssdDir: string, facts: PlaceFacts = machine): Promise<void> {
  // Without reuse no file is opened.
  if (options.noReuse) return
  makeWritable('--data-dir', dataDir)
  const free = await facts.freeBytes(dataDir)
  if (free < TABLE_BYTES && !existsSync(join(dataDir, 'store'))) {
    const need = `the disk of ${dataDir} has ${formatBytes(free)} free, and the tables need ${formatBytes(TABLE_BYTES)}`
    throw invalidOption('--data-dir', `${need}; free some, give another directory, or --no-reuse, which writes nothing`)
  }
  // The simulated engine keeps its disk tier in memory.
  if (options.device === 'simulated' || options.ssdBytes === 0) return
  makeWritable(options.ssdPath === null ? '--data-dir' : '--ssd-path', ssdDir)
  const size = await facts.diskBytes(ssdDir)
  if (options.ssdBytes === null || options.ssdBytes <= size) return
  const sizes = `${formatBytes(options.ssdBytes)} do not fit: the disk of ${ssdDir} has ${formatBytes(size)}`
  throw invalidOption('--ssd-bytes', `${sizes}; give less, 0 to turn the tier off, or another disk with --ssd-path`)
}

function makeWritable(option: string, directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(directory, constants.W_OK | constants.X_OK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw invalidOption(option, `${directory} cannot be written: ${code}; give a directory that this user may write to`)
  }
}
