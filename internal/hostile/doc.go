// Package hostile attacks registries: with floods of connections, with messages
// that are nearly right, and with keys of others. It holds the claims of
// docs/threat-model.md, and has no code that anyone could import.
package hostile
