package main

import (
	"fmt"
	"strings"
)

// insert returns the page with each table between its marks.
func insert(page string, tables []table) (string, error) {
	for _, t := range tables {
		begin, end := fmt.Sprintf("<!-- scale: %s -->\n", t.name), fmt.Sprintf("<!-- scale: end of %s -->\n", t.name)
		before, rest, ok := strings.Cut(page, begin)
		if !ok {
			return "", fmt.Errorf("no mark %q", strings.TrimSpace(begin))
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			return "", fmt.Errorf("no mark %q", strings.TrimSpace(end))
		}
		page = before + begin + t.text + end + after
	}
	return page, nil
}
