// Outlines of the navigation's pictures, in a box of 24 by 24.

export const ICONS = {
  gauge: 'M4 18a8 8 0 1 1 16 0M12 18l4-6',
  list: 'M9 6h11M9 12h11M9 18h11M4 6h.5M4 12h.5M4 18h.5',
  threads: 'M6 4v9a4 4 0 0 0 4 4h8M14 13l4 4-4 4M18 4v5',
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  curve: 'M4 4v16h16M6 8c3 0 4 8 13 9',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
} as const

export type IconName = keyof typeof ICONS
