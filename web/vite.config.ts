import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  // The package points to files that it does not always hold.
  resolve: { alias: { '@niivue/niivue': here('node_modules/@niivue/niivue/dist/index.js') } },
  build: {
    outDir: here('../src/iconet/view/page'),
    emptyOutDir: true,
    chunkSizeWarningLimit: 4000,
    modulePreload: { polyfill: false },
    // Names without hashes: the server lets nothing be kept between two starts.
    rollupOptions: { output: { entryFileNames: 'assets/[name].js', assetFileNames: 'assets/[name][extname]', chunkFileNames: 'assets/[name].js' } },
  },
})
