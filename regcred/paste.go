package regcred

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Credentials pass through mail, chats and editors, which wrap lines, put quotes around
// words and begin files with a byte order mark. None of that can be a part of them.

// plain returns the text of a file as UTF-8 without a byte order mark. UTF-16 is what
// some shells write when output is sent to a file.
func plain(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return fromUTF16(data[2:], binary.BigEndian)
	}
	return bytes.TrimPrefix(data, []byte("\ufeff"))
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	var out []byte
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// wrapping is what mail, chats and shells put around a line.
const wrapping = "\ufeff\u200b\"'`<>“”‘’«»"

// unquoted returns s without what may have been put around it on its way: blanks, quotes,
// brackets, and the name of the variable that it is for.
func unquoted(s string) string {
	around := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(wrapping, r) }
	s = strings.TrimFunc(s, around)
	s = strings.TrimSpace(strings.TrimPrefix(s, "export "))
	for _, variable := range []string{"XLREG_REGISTRY=", "XLREG_TICKET="} {
		s = strings.TrimPrefix(s, variable)
	}
	return strings.TrimFunc(s, around)
}

// Line returns what text says if that is an xlreg:// line, of a registry or of a ticket:
// without what was put around it on its way, and in one piece again if it was wrapped.
// The text may be all that is in a file, in UTF-8 or UTF-16.
func Line(text string) (string, bool) {
	s := unquoted(string(plain([]byte(text))))
	if !strings.HasPrefix(s, urlPrefix) {
		return "", false
	}
	return strings.Join(strings.Fields(s), ""), true
}
