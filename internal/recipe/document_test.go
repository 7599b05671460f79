package recipe

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page about recipes has every field, in the order in which the struct has them.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables [][]string
	for _, table := range strings.Split(string(page), "| field | value |\n")[1:] {
		var cells []string
		for line := range strings.Lines(table) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			if cell := regexp.MustCompile("^\\| `([a-z-]+)` \\| ").FindStringSubmatch(line); cell != nil {
				cells = append(cells, cell[1])
			}
		}
		tables = append(tables, cells)
	}
	own := slices.DeleteFunc(tagsOf(reflect.TypeFor[Role]()), func(tag string) bool {
		return slices.Contains(tagsOf(reflect.TypeFor[What]()), tag)
	})
	want := [][]string{tagsOf(reflect.TypeFor[Recipe]()), tagsOf(reflect.TypeFor[Install]()), own, tagsOf(reflect.TypeFor[Client]())}
	if !reflect.DeepEqual(tables, want) {
		t.Errorf("the page has\n%q, and there are\n%q", tables, want)
	}
}
