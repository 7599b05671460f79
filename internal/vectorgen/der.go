package vectorgen

import (
	"encoding/asn1"
	"time"
)

// The tags of DER that a certificate uses.
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagNull            = 0x05
	tagEnumerated      = 0x0a
	tagUTF8String      = 0x0c
	tagPrintableString = 0x13
	tagT61String       = 0x14
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31
	tagContext         = 0x80 // and the number
	tagConstructed     = 0x20
)

// tlv returns one value of DER, with its length in as few bytes as there may be.
func tlv(tag byte, parts ...[]byte) []byte {
	content := join(parts...)
	return join([]byte{tag}, derLength(len(content)), content)
}

func derLength(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	var digits []byte
	for ; n > 0; n >>= 8 {
		digits = append([]byte{byte(n)}, digits...)
	}
	return append([]byte{0x80 | byte(len(digits))}, digits...)
}

func seq(parts ...[]byte) []byte { return tlv(tagSequence, parts...) }

// explicit wraps a value into the context tag n.
func explicit(n byte, parts ...[]byte) []byte { return tlv(tagContext|tagConstructed|n, parts...) }

// implicit gives content the context tag n.
func implicit(n byte, content []byte) []byte { return tlv(tagContext|n, content) }

func oid(arcs ...int) []byte { return marshalASN1(asn1.ObjectIdentifier(arcs)) }

// bitString holds whole bytes.
func bitString(b []byte) []byte { return tlv(tagBitString, []byte{0}, b) }

func null() []byte { return tlv(tagNull) }

// content returns what is in a value whose length is in the short or the long
// form of DER.
func content(der []byte) []byte {
	if der[1] < 0x80 {
		return der[2:]
	}
	return der[2+der[1]&0x7f:]
}

// longer rewrites a value so that its length takes one byte more than DER allows.
func longer(der []byte) []byte {
	if der[1] < 0x80 {
		return join([]byte{der[0], 0x81, der[1]}, der[2:])
	}
	n := der[1] & 0x7f
	return join([]byte{der[0], 0x80 | (n + 1), 0}, der[2:])
}

// indefinite rewrites a value as BER without a length.
func indefinite(der []byte) []byte {
	return join([]byte{der[0], 0x80}, content(der), []byte{0, 0})
}

const firstGeneralized = 2050

// derTime returns a time as a certificate has it.
func derTime(seconds uint64) []byte {
	t := time.Unix(int64(seconds), 0).UTC()
	if t.Year() < firstGeneralized {
		return utcTime(t.Format("060102150405Z"))
	}
	return generalizedTime(t.Format("20060102150405Z"))
}

func utcTime(text string) []byte         { return tlv(tagUTCTime, []byte(text)) }
func generalizedTime(text string) []byte { return tlv(tagGeneralizedTime, []byte(text)) }
