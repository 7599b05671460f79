package keys

// The tags of the DER values that certificates are made of.
const (
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagUTF8String      = 0x0c
	tagPrintableString = 0x13
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31

	tagDNSName   = 0x82 // of a GeneralName
	tagIPAddress = 0x87 // of a GeneralName
	tagExts      = 0xa3 // extensions of a TBSCertificate
)

// backward writes DER from its last byte to its first. The length of a value stands
// before it, so this way each is known when it is written, and one buffer of a size
// that was counted before is all that a certificate takes. A writer that goes forward,
// such as cryptobyte's, copies every value once for each that it is nested in.
type backward struct {
	buf []byte
	at  int // buf[at:] is written
}

func newBackward(size int) *backward { return &backward{buf: make([]byte, size), at: size} }

// written returns what has been written since the writer was at end.
func (w *backward) written(end int) []byte { return w.buf[w.at:end] }

// add puts b before all that is written.
func add[T ~string | ~[]byte](w *backward, b T) {
	w.at -= len(b)
	copy(w.buf[w.at:], b)
}

func (w *backward) addByte(b byte) {
	w.at--
	w.buf[w.at] = b
}

// wrap makes all that was written since the writer was at end the content of a value.
func (w *backward) wrap(tag byte, end int) {
	n := end - w.at
	if n < 0x80 {
		w.addByte(byte(n))
		w.addByte(tag)
		return
	}
	octets := 0
	for ; n > 0; n >>= 8 {
		w.addByte(byte(n))
		octets++
	}
	w.addByte(0x80 | byte(octets))
	w.addByte(tag)
}

// addValue writes a value with its tag and length.
func addValue[T ~string | ~[]byte](w *backward, tag byte, content T) {
	end := w.at
	add(w, content)
	w.wrap(tag, end)
}

// addBits writes a BIT STRING without unused bits.
func (w *backward) addBits(content []byte) {
	end := w.at
	add(w, content)
	w.addByte(0)
	w.wrap(tagBitString, end)
}
