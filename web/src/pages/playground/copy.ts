// Text into the clipboard, also where the browser keeps the clipboard from pages that came over plain HTTP.

/** @returns whether the text is in the clipboard. */
export async function copyText(text: string): Promise<boolean> {
  // The type leaves it out of account: it is there in secure contexts alone.
  const clipboard = navigator.clipboard as Clipboard | undefined
  try {
    if (clipboard) {
      await clipboard.writeText(text)
      return true
    }
  } catch {
    // The browser refused: the older way may still be open.
  }
  return copySelection(text)
}

function copySelection(text: string): boolean {
  const focused = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'visually-hidden'
  document.body.append(area)
  area.select()
  const isCopied = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return isCopied
}
