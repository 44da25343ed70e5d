import { fileURLToPath } from 'node:url'
import type { Plugin, UserConfig } from 'vite'
import { defaultClientConditions, defineConfig } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The package points to files that it does not always hold.
const NIIVUE = { find: '@niivue/niivue', replacement: here('node_modules/@niivue/niivue/dist/index.js') }

const GRADIENTS = 'function gradientGL(params) {'

/** NiiVue finds gradients for views in three dimensions, which there are none of, in two thirds of the time to a picture. */
const withoutGradients: Plugin = {
  name: 'without gradients',
  transform(code, id) {
    if (!id.includes('@niivue/niivue/dist/index.js')) return undefined
    if (!code.includes(GRADIENTS)) throw new Error(`NiiVue has no ${GRADIENTS}: look at what it does with a new volume`)
    return { code: code.replace(GRADIENTS, `${GRADIENTS} return params.gradientTexture;`), map: null }
  },
}

/** The page of `iconet view`. */
const local: UserConfig = {
  resolve: { alias: [NIIVUE] },
  plugins: [withoutGradients],
  build: {
    outDir: here('../src/iconet/view/page'),
    emptyOutDir: true,
    chunkSizeWarningLimit: 4000,
    modulePreload: { polyfill: false },
    // Names without hashes: the server lets nothing be kept between two starts.
    rollupOptions: { output: { entryFileNames: 'assets/[name].js', assetFileNames: 'assets/[name][extname]', chunkFileNames: 'assets/[name].js' } },
  },
}

const POLICY = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'", "worker-src 'self'", "base-uri 'none'", "form-action 'none'",
].join('; ')
const WORDS: [string, string][] = [
  ['<meta charset="utf-8">', `<meta charset="utf-8">\n  <meta http-equiv="Content-Security-Policy" content="${POLICY}">`],
  ['<title>iconet view</title>', '<title>iconet in the browser</title>'],
  ['<h1>iconet view</h1>', '<h1>iconet in the browser</h1>'],
  ['Your scans stay on this computer.', 'Your scans never leave this computer: this page computes in your browser and has no server.'],
  ['Drop a scan here: NIfTI, NRRD, MHA, a DICOM folder or zip, raw k-space.', 'Drop an MR scan here: NIfTI (.nii, .nii.gz), one volume. For others use iconet view.'],
]

/** The same page without a server: what it asked of that, workers do. */
const alone: UserConfig = {
  base: './',
  resolve: {
    alias: [NIIVUE, { find: /^\.\/api$/, replacement: here('src/static/api.ts') }],
    conditions: [...defaultClientConditions, 'onnxruntime-web-use-extern-wasm'],
  },
  worker: { format: 'es' },
  build: { outDir: here('site'), emptyOutDir: true, chunkSizeWarningLimit: 4000, modulePreload: { polyfill: false } },
  plugins: [withoutGradients, {
    name: 'words of the static page',
    transformIndexHtml: {
      order: 'pre',
      handler: (html) => WORDS.reduce((text, [before, after]) => {
        if (!text.includes(before)) throw new Error(`index.html does not say: ${before}`)
        return text.replace(before, after)
      }, html),
    },
  }],
}

export default defineConfig(({ mode }) => (mode === 'static' ? alone : local))
