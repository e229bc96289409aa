import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// The server's content policy allows scripts and styles from files only: nothing is inlined.
export default defineConfig({
  base: './',
  plugins: [vue()],
  build: {
    outDir: '../ts/web-dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
