package archtest

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const picture = "../../docs/house.svg"

// undrawn are the rooms of a registry that its picture leaves out.
var undrawn = map[string]string{
	"internal/host":          "it puts the others together, as the heading says",
	"internal/atomicfile":    "small help with files",
	"internal/filelock":      "small help with files",
	"internal/private":       "small help with files",
	"internal/admin/api":     "the words of the admin side",
	"internal/overview":      "beside the path: it looks at what the rules have done",
	"internal/store/metered": "a store like any other",
	"internal/store/group":   "its place is in the words of store",
}

// The picture of the house has the rooms that a registry is made of, and none that
// there is not.
func TestPicture(t *testing.T) {
	drawn := drawnRooms(t)
	for name := range drawn {
		if name != "" && rows[name].why == "" {
			t.Errorf("%s has %q, and there is no such room", picture, name)
		}
	}
	registry := reach("internal/host", "internal/admin", "internal/store/memory", "internal/store/bolt")
	for _, name := range slices.Sorted(maps.Keys(registry)) {
		_, left := undrawn[name]
		if inner := strings.HasPrefix(name, "internal/store/bolt/") || strings.HasSuffix(name, "pb"); inner || left {
			continue
		}
		if !drawn[name] {
			t.Errorf("%s leaves out %s", picture, name)
		}
	}
	if !registry["internal/guard"] || !drawn["internal/session"] || !drawn["."] {
		t.Errorf("the registry is %v, the picture has %v", registry, drawn)
	}
}

// reach returns the rooms that some rooms use, and those.
func reach(names ...string) map[string]bool {
	found := make(map[string]bool)
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if !found[name] {
			found[name] = true
			names = append(names, rows[name].may...)
		}
	}
	return found
}

var drawnName = regexp.MustCompile(`<text class="name[^"]*"[^>]*>([^<]*)</text>`)

// drawnRooms returns the rooms that the picture names.
func drawnRooms(t *testing.T) map[string]bool {
	t.Helper()
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	drawn := make(map[string]bool)
	for _, m := range drawnName.FindAllStringSubmatch(string(svg), -1) {
		for _, name := range strings.FieldsFunc(m[1], func(r rune) bool { return r == '·' || r == ',' }) {
			drawn[drawnRoom(strings.TrimSpace(name))] = true
		}
	}
	return drawn
}

// drawnRoom returns the room that a name in the picture is for, and nothing for what is
// not of this house.
func drawnRoom(name string) string {
	if name == "root" {
		return "."
	}
	if name == "your program" {
		return ""
	}
	for _, below := range []string{"", "internal", "internal/store"} {
		if full := path.Join(below, name); rows[full].why != "" {
			return full
		}
	}
	return name
}
