package identity

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/keys"
)

// The files of a node's directory. The first is written last when a node is made:
// where it is, all that is needed is.
const (
	recordFile      = "node.json"
	commsFile       = "comms.pem"
	sigFile         = "sig.pem"
	certificateFile = "cert.pem"
	lockFile        = "lock"
)

const (
	filePerm = 0o600
	dirPerm  = 0o700
	maxFile  = 1 << 20 // bytes; nothing that a node keeps comes near
)

// Errors about a node's directory.
var (
	// ErrExists says that a directory already holds a node.
	ErrExists = errors.New("there is a node already")
	// ErrNoNode says that a directory holds none.
	ErrNoNode = errors.New("there is no node here: make one with xlreg node init")
	// ErrInUse says that another process writes to a node's directory.
	ErrInUse = errors.New("node directory is in use by another process: wait for it, stop it or use another directory")
)

// Init makes a node in dir, makes dir if it is not there, and takes the writer's
// lock. Key files that are there, from an Init that was cut short or brought by
// someone, are used; those that contradict o are an error.
func Init(dir string, o Options) (*Node, error) {
	n, err := initNode(dir, o)
	if err != nil {
		return nil, fmt.Errorf("make node in %s: %w", dir, err)
	}
	return n, nil
}

func initNode(dir string, o Options) (*Node, error) {
	n, err := newNode(o)
	if err != nil {
		return nil, err
	}
	n.dir = dir
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	if n.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := n.fill(o); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// makeDir makes dir, or takes an empty one for the node alone. One that holds other
// things keeps its permissions, if they are no danger.
func makeDir(dir string) error {
	if err := atomicfile.MkdirAll(dir, dirPerm); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		if err := os.Chmod(dir, dirPerm); err != nil {
			return err
		}
	}
	return checkDir(dir)
}

// fill writes the files of a new node, node.json last.
func (n *Node) fill(o Options) error {
	_, err := os.Lstat(filepath.Join(n.dir, recordFile))
	if err == nil {
		return ErrExists
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := n.fillKeys(o); err != nil {
		return err
	}
	if err := n.checkRegistry(o); err != nil {
		return err
	}
	// A certificate that is there is from an earlier try, perhaps under another
	// name, and a classic node with short keys has none.
	err = os.Remove(filepath.Join(n.dir, certificateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if n.checkModern() == nil {
		if _, err := n.certify(time.Now()); err != nil {
			return err
		}
	}
	return writeRecord(n.dir, n.record)
}

func (n *Node) fillKeys(o Options) error {
	comms, err := existingKey(n.dir, commsFile, o, func(k *keys.Set) keys.Private { return k.Comms })
	if err != nil {
		return err
	}
	sig, err := existingKey(n.dir, sigFile, o, func(k *keys.Set) keys.Private { return k.Sig })
	if err != nil {
		return err
	}
	if comms != nil && sig != nil {
		n.keys, err = keys.NewSet(comms, sig)
		return err
	}
	made, err := o.keys()
	if err != nil {
		return err
	}
	if comms == nil {
		comms, err = made.Comms, writeKey(n.dir, commsFile, made.Comms)
	}
	if err == nil && sig == nil {
		sig, err = made.Sig, writeKey(n.dir, sigFile, made.Sig)
	}
	if err != nil {
		return err
	}
	n.keys, err = keys.NewSet(comms, sig)
	return err
}

// existingKey returns the key in a file of a directory that holds no node yet, and
// nil if there is no such file. A key other than o asks for is an error.
func existingKey(dir, file string, o Options, pick func(*keys.Set) keys.Private) (keys.Private, error) {
	path := filepath.Join(dir, file)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if o.Keys != nil && !keys.Equal(pick(o.Keys), key) {
		return nil, fmt.Errorf("%s is there and holds another key than given: move it away", path)
	}
	return key, o.checkExisting(path, key.Public())
}

// checkExisting reports a key of another kind or size than o asks for.
func (o *Options) checkExisting(path string, key keys.Public) error {
	if o.Keys != nil {
		return nil
	}
	if o.Kind != "" && key.Kind() != o.Kind {
		return fmt.Errorf("%s is there and holds a key of kind %s, not %s: move it away", path, key.Kind(), o.Kind)
	}
	if bits := key.Bits(); o.Bits != 0 && bits != o.Bits {
		return fmt.Errorf("%s is there and holds a key of %d bits, not of %d: move it away", path, bits, o.Bits)
	}
	return nil
}

// Open opens the node in dir and takes the writer's lock. The node of a registry is
// ErrRegistry: it belongs to the registry alone, see OpenRegistry.
func Open(dir string) (*Node, error) {
	n, err := open(dir, false)
	if err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	return n, nil
}

func open(dir string, registry bool) (*Node, error) {
	// Looked for first, so that a directory of something else gets no lock file.
	if err := checkNode(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	var n *Node
	if registry {
		err = takeOver(dir)
	}
	if err == nil {
		n, err = readAs(dir, registry)
	}
	if err == nil && n.recovered {
		err = writeRecord(dir, n.record)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	n.lock = lock
	return n, nil
}

// Load reads the node in dir. It takes no lock and writes nothing, and what would
// have to be saved is ErrReadOnly.
func Load(dir string) (*Node, error) {
	n, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("load node: %w", err)
	}
	return n, nil
}

// lockDir takes the writer's lock, and then clears away what a writer that crashed
// left half written.
func lockDir(dir string) (*filelock.File, error) {
	lock, err := filelock.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", dir, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	for _, file := range append([]string{recordFile, commsFile, sigFile, certificateFile}, successionFiles...) {
		if err := atomicfile.RemoveLeftovers(filepath.Join(dir, file)); err != nil {
			lock.Close()
			return nil, err
		}
	}
	return lock, nil
}

func read(dir string) (*Node, error) {
	if err := checkNode(dir); err != nil {
		return nil, err
	}
	comms, err := readKey(filepath.Join(dir, commsFile))
	if err != nil {
		return nil, err
	}
	sig, err := readKey(filepath.Join(dir, sigFile))
	if err != nil {
		return nil, err
	}
	set, err := keys.NewSet(comms, sig)
	if err != nil {
		return nil, err
	}
	n := &Node{dir: dir, keys: set, life: keys.DefaultCertificateLife}
	n.record, err = readRecord(filepath.Join(dir, recordFile))
	if errors.Is(err, errRecordEmpty) {
		n.record, err = n.recoverRecord()
		n.recovered = true
	}
	if err != nil {
		return nil, err
	}
	return n, n.readCertificate()
}

// checkNode makes sure that dir holds a node.
func checkNode(dir string) error {
	if err := checkDir(dir); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, ErrNoNode)
	}
	return err
}

// checkDir makes sure that dir is there and that nobody else can put other files
// into it.
func checkDir(dir string) error {
	err := private.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, ErrNoNode)
	}
	return err
}

func readRecord(path string) (record, error) {
	data, err := readFile(path, 0)
	if err != nil {
		return record{}, err
	}
	if isBlank(data) {
		return record{}, errRecordEmpty
	}
	r, err := parseRecord(data)
	if errors.Is(err, errRecordNewer) {
		return record{}, fmt.Errorf("%s: %w: use the newer", path, err)
	}
	if err != nil {
		return record{}, fmt.Errorf("%s: %w: %s", path, err, recordRemedy)
	}
	return r, nil
}

func writeRecord(dir string, r record) error {
	data, err := r.marshal()
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, recordFile), data, filePerm)
}

// ReadPrivateKey is keys.ParsePrivate for a key in a file, which nobody but its
// owner may have permission to read.
func ReadPrivateKey(path string) (keys.Private, error) {
	data, err := readFile(path, 0o077)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// readKey reads a key of a node, and says what to do if it cannot be had.
func readKey(path string) (keys.Private, error) {
	key, err := ReadPrivateKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: put the key there, or make a new node", err)
	case errors.Is(err, keys.ErrNotPrivate):
		return nil, fmt.Errorf("%w: put the right file there from a backup, or make a new node", err)
	}
	return key, err
}

func writeKey(dir, file string, key keys.Private) error {
	data, err := keys.EncodePrivate(key)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, file), data, filePerm)
}

// readCertificate takes over what is in cert.pem if it is of use. It can be made
// anew at any time, so only a file that cannot be this node's is an error.
func (n *Node) readCertificate() error {
	path := filepath.Join(n.dir, certificateFile)
	c, err := loadCertificate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.key != n.keys.SigKey {
		return fmt.Errorf("%s and %s hold different keys: if the latter is right, remove the former, and it is made anew",
			path, filepath.Join(n.dir, sigFile))
	}
	n.life = max(c.life(), minCertificateLife)
	if c.verify(n.token()) {
		n.certificate = c
	}
	return nil
}

// loadCertificate reads a certificate, and says what to do if there is none in the file.
func loadCertificate(path string) (*certificate, error) {
	data, err := readFile(path, 0)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate: remove it, and it is made anew", path)
	}
	c, err := parseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove it, and it is made anew", path, err)
	}
	return c, nil
}

func writeCertificate(dir string, der []byte) error {
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return atomicfile.Write(filepath.Join(dir, certificateFile), data, filePerm)
}

// readFile returns what is in a file, unless one of the forbidden permissions is
// given on it.
func readFile(path string, forbidden fs.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := private.Owner(path, info); err != nil {
		return nil, err
	}
	if perm := private.Perm(info); perm&forbidden != 0 {
		return nil, fmt.Errorf("others may read or write %s, its permissions are %#o: run chmod 600 %s", path, perm, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return data, nil
}
