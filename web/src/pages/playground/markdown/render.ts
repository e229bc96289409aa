// The whole of rendering behind one import, so that a page that shows no answer does not load it.

import { GrowingBlocks } from './growing-blocks.js'
import { sanitised } from './sanitise.js'
import { blockHtml, MARKDOWN_OPTIONS } from './to-html.js'

export const markdownBlocks = (): GrowingBlocks => new GrowingBlocks(MARKDOWN_OPTIONS, (token) => sanitised(blockHtml(token)))
