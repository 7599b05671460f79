package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"time"
)

//go:embed static templates
var files embed.FS

// assetPath is where assets lie. The hash of its content is part of an asset's name, so
// that browsers may keep it for ever.
const assetPath = "/assets/"

// assets are the files that the pages refer to.
type assets struct {
	Style, Script, Icon string // their paths
	files               map[string][]byte
}

func loadAssets() assets {
	a := assets{files: make(map[string][]byte)}
	a.Style, a.Script, a.Icon = a.add("page.css"), a.add("page.mjs"), a.add("icon.svg")
	return a
}

func (a *assets) add(name string) string {
	b, err := files.ReadFile("static/" + name)
	if err != nil {
		panic(err) // the program was built without it
	}
	sum := sha256.Sum256(b)
	ext := path.Ext(name)
	hashed := name[:len(name)-len(ext)] + "-" + hex.EncodeToString(sum[:8]) + ext
	a.files[hashed] = b
	return assetPath + hashed
}

// types are given by name: what the machine's tables say must not matter.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

func parseTemplates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"age": ageBetween, "stamp": stamp, "short": short, "bytes": bytesText, "count": countText[int],
		"dict": dict, "blank": func() row { return row{} },
	}).ParseFS(files, "templates/*.html"))
}
