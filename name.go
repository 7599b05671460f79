package xlreg

// Name is the name of a node, a cluster or a registry: a letter or '_', then
// letters, digits, '_', '-' and '.', all ASCII, 128 characters at most.
type Name string

// ParseName returns s as a Name, or an error of kind ErrIllFormedName that says
// what is wrong with it.
func ParseName(s string) (Name, error) {
	if s == "" {
		return "", Errorf(ErrIllFormedName, "a name cannot be empty")
	}
	if len(s) > MaxNameLen {
		return "", Errorf(ErrIllFormedName, "%d characters, at most %d allowed", len(s), MaxNameLen)
	}
	if !isLetter(s[0]) {
		return "", Errorf(ErrIllFormedName, "%q must start with a letter or '_'", s)
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '.' {
			return "", Errorf(ErrIllFormedName, "%q may hold letters, digits, '_', '-' and '.' only", s)
		}
	}
	return Name(s), nil
}

// Validate reports whether n could have come from ParseName.
func (n Name) Validate() error {
	_, err := ParseName(string(n))
	return err
}

func isLetter(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
