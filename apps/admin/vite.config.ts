import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Builds the pages into `dist/web`, which the server of this package serves. Nothing is inlined: the pages' policy allows files of their origin only. */
export default defineConfig({
  root: "web",
  plugins: [react(), tailwindcss()],
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
    manifest: true,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  logLevel: "warn",
});
