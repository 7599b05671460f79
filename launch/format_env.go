package launch

import "strings"

// envFormat writes assignments for a shell: set -a; . FILE.
func envFormat(d *Data) (string, error) {
	env, err := d.Environment()
	if err != nil {
		return "", err
	}
	var l lines
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		l.addf("%s=%s", name, Quote(value))
	}
	return l.String(), nil
}

// Quote makes s one word for a shell, as it is if it is one already.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
