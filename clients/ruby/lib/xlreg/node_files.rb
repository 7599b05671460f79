# frozen_string_literal: true

module Xlreg
  # The keys of a node's directory.
  # @api private
  module NodeKeys
    module_function

    # @param files [Directory] which holds a node
    # @return [Keys]
    def read(files)
      comms, sig = [Directory::COMMS, Directory::SIG].map do |name|
        files.read_key(name) or raise NodeError,
                                      "#{files.file(name)} is not there: put the key there, or make a new node"
      end
      Keys.new(comms: comms, sig: sig)
    end

    # Completes the keys of a directory that holds no node yet.
    # @return [Keys]
    def fill(files, given, kind)
      comms = existing(files, Directory::COMMS, given&.comms, kind)
      sig = existing(files, Directory::SIG, given&.sig, kind)
      return Keys.new(comms: comms, sig: sig) if comms && sig

      made = given || Keys.generate(kind || Keys::DEFAULT)
      files.write_key(Directory::COMMS, made.comms) unless comms
      files.write_key(Directory::SIG, made.sig) unless sig
      Keys.new(comms: comms || made.comms, sig: sig || made.sig)
    end

    def existing(files, name, given, kind)
      key = files.read_key(name) or return
      path = files.file(name)
      raise NodeError, "#{path} is there and holds another key than given: move it away" if given && !same?(given, key)

      found = Keys.kind_of(key)
      return key if given || kind.nil? || found == kind

      raise NodeError, "#{path} is there and holds a key of kind #{found}, not #{kind}: move it away"
    end

    def same?(one, other) = PublicKey.der(one) == PublicKey.der(other)
  end

  # Names for nodes that were given none: the machine's name, with digits of the key where the name alone would
  # not tell nodes apart.
  # @api private
  module Naming
    MOST = 48 # of the 128 characters that a name can have
    DIGITS = 6
    private_constant :MOST, :DIGITS

    module_function

    # @param keys [Keys] of the new node
    # @param only_here [Boolean] whether it is the only one of its user on this machine
    # @return [String]
    def new_name(keys, only_here: false, host: Socket.gethostname)
      name, telling = host_name(host)
      return name if telling && only_here

      "#{name}-#{Fingerprint.parse(keys.fingerprint).unpack1('H*')[0, DIGITS]}"
    end

    # Makes a valid name from a host name, and says whether it identifies the machine. Names begin with a letter;
    # host names of containers often do not.
    # @return [Array(String, Boolean)]
    def host_name(host)
      name = host.split('.').first.to_s.gsub(/[^A-Za-z0-9_-]/, '-').gsub(/\A-+|-+\z/, '')[0, MOST]
      return ['node', false] if name.empty?

      [name.match?(/\A\d/) ? "h-#{name}" : name, name.casecmp('localhost') != 0]
    end
  end

  # What the other files of a node's directory say when node.json is lost.
  # @api private
  class Recovery
    # @param files [Directory]
    # @param keys [Keys]
    def initialize(files, keys)
      @files = files
      @keys = keys
    end

    # @return [String, nil] the name in a certificate that is bound to it and to the keys; nil if there is none
    def name
      certified
    rescue SystemCallError, Error
      nil
    end

    # @return [Record] in place of an empty one
    # @raise [NodeError] no other file proves what the name was
    def record
      Record.new(name: certified)
    rescue SystemCallError, Error => e
      raise NodeError, "#{@files.file(Directory::RECORD)} is empty, as after a power cut, and the name cannot be had " \
                       "from another file (#{e.message}): #{Directory::REMEDY}"
    end

    private

    # The subject of a certificate binds its key to its name (section 7.6).
    def certified
      der = @files.read_certificate or raise NodeError, "#{Directory::CERTIFICATE} is not there"
      shown = OwnCertificate.new(der)
      name = Name.check(shown.name)
      raise CertificateError, 'its key is not the sig key' unless shown.key == @keys.sig_key

      Certificate.check(Token.new(name: name, comms_key: @keys.comms_key, sig_key: @keys.sig_key,
                                  endpoints: shown.endpoints, certificate: shown.field), der)
      name
    end
  end
end
