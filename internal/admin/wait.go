package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// maxWait is how long a request may wait for a change. Whoever wants to wait longer asks
// again.
const maxWait = 5 * time.Minute

// span is a time in a query, such as 30s.
type span struct{ time.Duration }

// maxSpan is the longest one, and maxSpanText how long its text may be.
const (
	maxSpan     = 100 * 365 * 24 * time.Hour
	maxSpanText = 30
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if len(text) > maxSpanText || err != nil || d < 0 || d > maxSpan {
		return fmt.Errorf("want a time such as 90s or 1h30m")
	}
	s.Duration = d
	return nil
}

// Schema implements huma.SchemaProvider.
func (span) Schema(huma.Registry) *huma.Schema {
	most := maxSpanText
	return &huma.Schema{
		Type: huma.TypeString, MaxLength: &most, Pattern: `^(([0-9]{1,5}(ms|s|m|h)){1,3})?$`, Examples: []any{"30s"},
	}
}

// etag returns the tag of a cluster's state.
func etag(epoch, revision uint64) string {
	return fmt.Sprintf(`"%d.%d"`, epoch, revision)
}

// revisionOf returns the revision in the tag that a change is made on condition of; nil
// is no condition.
func revisionOf(tag string) (*uint64, error) {
	if tag == "" || tag == "*" {
		return nil, nil
	}
	inner, ok := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	epoch, rest, dotted := strings.Cut(inner, ".")
	_, epochErr := strconv.ParseUint(epoch, 10, 64)
	revision, err := strconv.ParseUint(rest, 10, 64)
	if !ok || !closed || !dotted || epochErr != nil || err != nil {
		return nil, invalid("If-Match %.80q: want the ETag of the cluster", tag)
	}
	return &revision, nil
}

// matches reports whether a tag is among those of an If-None-Match.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}
