# frozen_string_literal: true

require 'fileutils'

module Xlreg
  # A node's directory: its files, their permissions, and the writer's lock. The Go and Python clients
  # read and write the same. A new node's node.json is written last, so a directory that has one is complete.
  # @api private
  class Directory
    RECORD = 'node.json'
    COMMS = 'comms.pem'
    SIG = 'sig.pem'
    CERTIFICATE = 'cert.pem'
    LOCK = 'lock'
    CREDENTIALS = 'regCred.dat' # what a registry writes beside its node's files
    DATA = 'xlreg.db' # and this
    MAX_FILE = 1 << 20 # nothing that a node keeps comes near
    BLANK = /\A[\0 \t\r\n]*\z/n # what a file shows that was never written
    REMEDY = 'put the right file there from a backup, or remove it and make the node anew with Node.init or ' \
             'xlreg node init, which take the keys that are there'
    ARMOUR = %r{-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----}

    # @return [String]
    attr_reader :path

    # @param path [String, #to_path] nothing is read or written yet
    def initialize(path)
      @path = path.respond_to?(:to_path) ? path.to_path : path.to_s
    end

    # Turns errors of the file system into a NodeError that says what was being done.
    # @param what [String]
    def self.errors(what)
      yield
    rescue NodeError => e
      raise e.while_doing(what)
    rescue SystemCallError, Error => e
      raise NodeError, "#{what}: #{e.message}"
    end

    # @param name [String]
    # @return [String] the path of one of the files
    def file(name) = File.join(path, name)

    # Makes the directory, or reserves an empty one for the node. A directory that holds other files keeps its
    # permissions, provided they are safe.
    def make
      AtomicFile.make_folder(path, 0o700)
      File.chmod(0o700, path) if Dir.empty?(path)
      check
      refuse_registry if File.exist?(file(DATA))
    end

    # Makes sure that the directory holds a node, and that nobody else can put files into it.
    # @raise [NoNodeError]
    def check_node
      check
      raise NoNodeError, no_node unless File.exist?(file(RECORD))
    end

    # Takes the writer's lock, then removes what a crashed writer left behind.
    # @return [File] which holds the lock until it is closed
    # @raise [NodeInUseError] someone else has it
    def lock
      held = File.open(file(LOCK), File::RDWR | File::CREAT, 0o600)
      unless held.flock(File::LOCK_EX | File::LOCK_NB)
        raise NodeInUseError, "#{path}: node directory is in use by another process: " \
                              'wait for it, stop it or use another directory'
      end
      [RECORD, COMMS, SIG, CERTIFICATE].each { |name| AtomicFile.remove_leftovers(file(name)) }
      held
    rescue StandardError
      held&.close
      raise
    end

    # @return [Boolean] whether there is a node.json
    def record? = File.symlink?(file(RECORD)) || File.exist?(file(RECORD))

    # @return [Record, nil] nil if the file is empty, as a power cut leaves it
    def read_record
      data = read(RECORD)
      return if BLANK.match?(data)

      Directory.errors(file(RECORD)) { RecordParser.parse(data) }
    end

    # Makes sure that the directory is not that of a registry, whose keys no other node may use.
    # @param record [Record, nil]
    # @param keys [Keys]
    def check_no_registry(record, keys)
      own = record && (record.extra.key?('serve') || record.find(keys.fingerprint))
      refuse_registry if own || File.exist?(file(DATA)) || credentials_of?(keys)
    end

    # @param record [Record] it is on disk when this returns
    def write_record(record) = write(RECORD, record.encode)

    # Reads one of the two keys, which nobody else may be able to.
    # @param name [String]
    # @return [OpenSSL::PKey::RSA, nil] nil if it is not there
    # @raise [NodeError] it is none, or too open
    def read_key(name)
      PrivateKey.parse(read(name, forbidden: 0o077))
    rescue Errno::ENOENT
      nil
    rescue PrivateKeyError => e
      raise NodeError, "#{file(name)}: #{e.message}: put the right file there from a backup, or make a new node"
    end

    # @param name [String]
    # @param key [OpenSSL::PKey::RSA]
    def write_key(name, key) = write(name, PrivateKey.pem(key))

    # @return [String, nil] the DER of the certificate that is there, if one is
    def read_certificate
      digits = read(CERTIFICATE)[ARMOUR, 1] or raise NodeError, no_certificate
      digits.unpack1('m').b
    rescue Errno::ENOENT
      nil
    end

    # @param der [String]
    def write_certificate(der)
      write(CERTIFICATE, "-----BEGIN CERTIFICATE-----\n#{[der].pack('m48')}-----END CERTIFICATE-----\n")
    end

    # Removes the certificate, if one is there.
    def remove_certificate = FileUtils.rm_f(file(CERTIFICATE))

    # Makes sure that a file or directory belongs to this user or to root. That holds for root as well: files of
    # other users are not its own.
    # @api private
    def self.check_owner(name, owner, own = Process.euid)
      return if [0, own].include?(owner)

      raise NodeError, "#{name} belongs to another user (uid #{owner}), who can change it: use one of your own, or " \
                       "run chown #{own} #{name} if you trust it"
    end

    private

    def refuse_registry
      raise NodeError, "#{path}: this is the directory of a registry: use another one for a node"
    end

    def credentials_of?(keys)
      RegCred.read(file(CREDENTIALS)).sig_key == keys.sig_key
    rescue SystemCallError, Error
      false
    end

    def no_node = "#{path}: there is no node here: make one with Node.init, or xlreg node init"

    def no_certificate = "#{file(CERTIFICATE)} holds no certificate: remove it, and it is made anew"

    def check
      info = File.stat(path)
      raise NodeError, "#{path} is not a directory" unless info.directory?

      Directory.check_owner(path, info.uid)
      raise NodeError, "others may write to #{path}: run chmod 700 #{path}" unless (info.mode & 0o022).zero?
    rescue Errno::ENOENT
      raise NoNodeError, no_node
    end

    def write(name, data) = AtomicFile.write(file(name), data, 0o600)

    # Returns what is in a file, unless one of the forbidden permissions is given on it.
    def read(name, forbidden: 0)
      File.open(file(name), 'rb') do |opened|
        check_mode(opened.stat, file(name), forbidden)
        opened.read(MAX_FILE + 1).to_s.tap do |data|
          raise NodeError, "#{file(name)} has more than #{MAX_FILE} bytes" if data.bytesize > MAX_FILE
        end
      end
    end

    def check_mode(info, name, forbidden)
      raise NodeError, "#{name} is not a regular file" unless info.file?

      Directory.check_owner(name, info.uid)
      return if (info.mode & forbidden).zero?

      mode = format('%#o', info.mode & 0o7777)
      raise NodeError, "others may read or write #{name}, its permissions are #{mode}: run chmod 600 #{name}"
    end
  end
end
