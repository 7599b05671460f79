package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// row is one piece of a page that changes by itself: the templates render its fields, and
// the script puts newer ones in their places.
type row struct {
	Key    string            `json:"k"`
	Fields map[string]string `json:"f"`
}

// F returns a field.
func (r row) F(name string) string { return r.Fields[name] }

// dict makes the argument of a template of several values.
func dict(pairs ...any) map[string]any {
	d := make(map[string]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		d[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return d
}

// ageText is a span of time as people say it, in one unit. The script has the same rule.
func ageText(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// ageBetween is the time between now and a stamp, past or to come.
func ageBetween(now time.Time, at string) string {
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return ""
	}
	return ageText(now.Sub(t).Abs())
}

// stamp is a time as HTML and JSON have it; empty if it is not known.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// spanText is a short span, such as the time a cluster took to form.
func spanText(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return strconv.FormatInt(ms, 10) + " ms"
	case d < time.Minute:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60), " 0 s")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60), " 0 min")
}

// short is the beginning of an ID or a fingerprint, enough to tell one from another.
func short(s string) string {
	const shown = 12
	prefix := ""
	if rest, ok := strings.CutPrefix(s, "SHA256:"); ok {
		prefix, s = "SHA256:", rest
	}
	if len(s) > shown {
		s = s[:shown] + "…"
	}
	return prefix + s
}

// countText groups the digits of a number with narrow spaces, as no language forbids.
func countText[N int | int64 | uint64](n N) string { return grouped(int64(n)) }

func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 && s[i-1] != '-' {
			b.WriteRune('\u202f')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

func bytesText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[i]
}

// some names the first of many.
func some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + countText(len(names)-most) + " more"
}

// seatsText names seats, runs of them in one: "seats 0, 3–9 and 12".
func seatsText(seats []int) string {
	const most = 5
	var runs []string
	for i := 0; i < len(seats); {
		j := i
		for j+1 < len(seats) && seats[j+1] == seats[j]+1 {
			j++
		}
		if j > i+1 {
			runs = append(runs, fmt.Sprintf("%d–%d", seats[i], seats[j]))
			i = j + 1
			continue
		}
		runs = append(runs, strconv.Itoa(seats[i]))
		i++
	}
	word := "seats "
	if len(seats) == 1 {
		word = "seat "
	}
	switch n := len(runs); {
	case n == 0:
		return ""
	case n > most:
		return word + strings.Join(runs[:most], ", ") + ", …"
	case n == 1:
		return word + runs[0]
	default:
		return word + strings.Join(runs[:n-1], ", ") + " and " + runs[n-1]
	}
}
