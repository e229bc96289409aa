// Files of Python packages, found by the simple API of an index (PEP 503 and 691).

import { DownloadRefused } from './file.js'
import type { Fetch } from './network.js'

type Environment = Readonly<Record<string, string | undefined>>

/** The variables of uv and pip, in this order, then PyPI. */
export function packageIndex(env: Environment): string {
  return env['UV_DEFAULT_INDEX'] || env['UV_INDEX_URL'] || env['PIP_INDEX_URL'] || 'https://pypi.org/simple'
}

export interface FoundFile {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

const JSON_TYPE = 'application/vnd.pypi.simple.v1+json'
const MAX_PAGE_BYTES = 16 * 2 ** 20

/**
 * @param index with or without a user and a password, which its own host alone gets.
 * @throws DownloadRefused, or an Error that names the index, where the file is not to be had.
 */
export async function findWheel(index: string, name: string, file: string, fetch: Fetch): Promise<FoundFile> {
  if (!URL.canParse(index) || !/^https?:/.test(index)) throw new Error('the index of Python packages is no http or https URL')
  const page = new URL(`${index.replace(/\/+$/, '')}/${name}/`)
  const credentials = authorization(page)
  const response = await fetch(page.href, { headers: { accept: `${JSON_TYPE}, text/html;q=0.5`, ...credentials } })
  if (!response.ok) throw new DownloadRefused(`${page.host} answers ${response.status} for the package ${name}`, response.status)
  const text = await response.text()
  if (text.length > MAX_PAGE_BYTES) throw new Error(`${page.host} lists more than can be read`)
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  const links = isJson ? linksOfJson(text) : linksOfHtml(text)
  const link = links.find(({ filename }) => filename === file)
  if (link === undefined) throw new Error(`${page.host} has no ${file}`)
  const url = new URL(link.url, page)
  if (!/^https?:$/.test(url.protocol)) throw new Error(`${page.host} names a place that is not http or https`)
  url.hash = ''
  const own = authorization(url)
  return { url: url.href, headers: url.host === page.host ? { ...credentials, ...own } : own }
}

interface Link {
  readonly filename: string
  readonly url: string
}

function linksOfJson(text: string): Link[] {
  const { files } = JSON.parse(text) as { files?: Link[] }
  return files ?? []
}

function linksOfHtml(text: string): Link[] {
  const anchors = text.matchAll(/<a\s[^>]*href\s*=\s*["']([^"']+)["'][^>]*>([^<]*)<\/a>/gi)
  return [...anchors].map(([, url = '', filename = '']) => ({ url: url.replaceAll('&amp;', '&'), filename: filename.trim() }))
}

/** Takes user and password out of the URL: requests with them in it are refused. */
function authorization(url: URL): Record<string, string> {
  const { username, password } = url
  url.username = ''
  url.password = ''
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}
