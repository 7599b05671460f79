# frozen_string_literal: true

module Xlreg
  # The credentials of a registry: who it is, which keys it has, where to find it (section 2). They
  # travel as a file, regCred.dat, that deployed clients read too, or as one line for people that
  # begins with xlreg:// (see Target).
  #
  #     Xlreg::RegCred.read('regCred.dat').url  # => "xlreg://203.0.113.7:56789/?sig=…"
  class RegCred
    MAX_FILE = 64 << 10
    private_constant :MAX_FILE

    # @return [String] the registry's name
    attr_reader :name
    # @return [NodeID] its ID
    attr_reader :id
    # @return [String] DER; classic clients encrypt to it
    attr_reader :comms_key
    # @return [String] DER; what 2.0 clients know the registry by
    attr_reader :sig_key
    # @return [Array<Endpoint>] where it is; one at least
    attr_reader :endpoints
    # @return [DecimalVersion] what it speaks; below 2 for an original server
    attr_reader :version

    # @param name [String]
    # @param id [NodeID]
    # @param comms_key [String] DER
    # @param sig_key [String] DER
    # @param endpoints [Array<String, Endpoint>]
    # @param version [DecimalVersion]
    # @raise [RegCredError] they cannot be those of a registry
    def initialize(name:, id:, comms_key:, sig_key:, endpoints:, version:)
      @name = Name.check(name)
      @id = id
      @comms_key = comms_key.tap { |key| PublicKey.parse_rsa(key) }
      @sig_key = sig_key.tap { |key| PublicKey.parse_rsa(key) }
      @endpoints = Endpoint.all(endpoints)
      @version = version
      raise RegCredError, 'no endpoint' if @endpoints.empty?

      freeze
    rescue PublicKeyError, EndpointError, IllFormedNameError => e
      raise RegCredError, e.message
    end

    # Reads the content of a regCred.dat.
    # @param text [String]
    # @return [RegCred]
    # @raise [RegCredError] it is none; the error names the line
    def self.parse(text)
      raise RegCredError, "more than #{MAX_FILE} bytes" if text.bytesize > MAX_FILE

      RegCredParser.new(text).read
    end

    # Reads a regCred.dat.
    # @param path [String]
    # @return [RegCred]
    # @raise [SystemCallError] the file cannot be read
    # @raise [RegCredError] it is none; the error names the file and the line
    def self.read(path)
      text = read_text(path)
      Text.doing(path) do
        raise RegCredError, 'holds an xlreg:// line, and not the credentials themselves' if Pasted.url?(text)

        parse(text)
      end
    end

    # @api private
    def self.read_text(path)
      data = File.binread(path, MAX_FILE + 1).to_s
      raise RegCredError, "#{path}: more than #{MAX_FILE} bytes" if data.bytesize > MAX_FILE

      Pasted.clean(data)
    end

    # Replaces a file with these credentials, at once and whole.
    # @param path [String]
    # @return [void]
    # @raise [SystemCallError] the file cannot be written
    def write(path) = AtomicFile.write(path, to_s, 0o644)

    # @return [String] the fingerprint of the sig key, SHA256:…
    def fingerprint = PublicKey.fingerprint(sig_key)

    # @return [Target] how to find the registry and tell it from others
    def target = Target.new(endpoints: endpoints, fingerprint: fingerprint, cred: self)

    # @return [String] the one line for people
    def url = target.url

    # @return [Protocol] what the registry speaks; of an original server, the one generation that it
    #   most likely does
    def protocol
      return Protocol::V20 if version.parts[0] >= 2

      version < DecimalVersion.new(1, 9, 5) ? Protocol::V18 : Protocol::V19
    end

    # @return [String] the content of a regCred.dat, laid out as deployed writers do it
    def to_s
      ['regCred {', "    Name: #{name}", "    ID: #{id}",
       "    CommsPubKey: #{ssh(comms_key)}", '', "    SigPubKey: #{ssh(sig_key)}", '',
       '    EndPoints {', *endpoints.map { |endpoint| "         TcpEndPoint: #{endpoint}" }, '    }',
       "    Version: #{version}", '}', ''].join("\r\n")
    end

    # @return [String]
    def inspect = "#<Xlreg::RegCred #{name} #{fingerprint}>"

    private

    def ssh(key) = "ssh-rsa #{[PublicKey.to_ssh(key)].pack('m0')}"
  end

  # Goes through the lines of a regCred.dat that are not blank.
  # @api private
  class RegCredParser
    # @param text [String]
    def initialize(text)
      lines = text.dup.force_encoding(Encoding::UTF_8).scrub('?').split("\n")
      @lines = lines.map { |line| line.gsub(/\A[ \t\r]+|[ \t\r]+\z/, '') }
      @at = 0 # of the line that is being read, from 1
    end

    # @return [RegCred]
    # @raise [RegCredError]
    def read
      all
    rescue Error => e
      raise RegCredError.new(e.message, line: [1, @at].max)
    end

    private

    def all
      want('regCred {')
      fields = { name: Name.check(value('Name')), id: NodeID.parse(value('ID')),
                 comms_key: key(value('CommsPubKey')), sig_key: key(value('SigPubKey')),
                 endpoints: endpoints, version: DecimalVersion.parse(value('Version')) }
      want('}')
      rest = @lines.drop(@at).find { |text| !text.empty? }
      raise RegCredError, "#{Text.quote(line('')[0, 40])} after the end" if rest

      RegCred.new(**fields)
    end

    def line(wanted)
      while @at < @lines.size
        @at += 1
        return @lines[@at - 1] unless @lines[@at - 1].empty?
      end
      raise RegCredError, "end of file where #{Text.quote(wanted)} should be"
    end

    def instead(found, wanted)
      raise RegCredError, "#{Text.quote(found[0, 40])} where #{Text.quote(wanted)} should be"
    end

    def want(word)
      found = line(word)
      instead(found, word) unless found == word
    end

    def value(field)
      found = line(field)
      instead(found, field) unless found.start_with?("#{field}: ")
      found.delete_prefix("#{field}: ")
    end

    def endpoints
      want('EndPoints {')
      found = []
      until (text = line('TcpEndPoint')) == '}'
        instead(text, 'TcpEndPoint') unless text.start_with?('TcpEndPoint: ')
        found << Endpoint.new(text.delete_prefix('TcpEndPoint: '))
        raise EndpointError, "more than #{Limits::MAX_ENDPOINTS} endpoints" if found.size > Limits::MAX_ENDPOINTS
      end
      raise EndpointError, 'no endpoint' if found.empty?

      found
    end

    def key(text)
      algorithm, digits, = text.split(' ', -1)
      raise RegCredError, 'want ssh-rsa and a key in base64' unless algorithm == 'ssh-rsa' && digits

      form = digits.unpack1('m0')
      raise RegCredError, 'not the one base64 form of the key' unless [form].pack('m0') == digits

      PublicKey.from_ssh(form)
    rescue ArgumentError => e
      raise RegCredError, e.message
    end
  end

  # What a client needs to find a registry and to tell it from others (section 2.3).
  #
  #     Xlreg::Target.parse('xlreg://reg.example.org/?sig=…').endpoints.first.port  # => 56789
  class Target
    PREFIX = 'xlreg://'
    MAX_URL = 8 << 10
    private_constant :PREFIX, :MAX_URL

    # @return [Array<Endpoint>] where the registry is
    attr_reader :endpoints
    # @return [String] that of its sig key, SHA256:…
    attr_reader :fingerprint
    # @return [RegCred, nil] its credentials; nil if only a URL was given
    attr_reader :cred

    # @param endpoints [Array<String, Endpoint>]
    # @param fingerprint [String]
    # @param cred [RegCred, nil]
    def initialize(endpoints:, fingerprint:, cred: nil)
      @endpoints = Endpoint.all(endpoints)
      @fingerprint = Fingerprint.normalize(fingerprint)
      @cred = cred
      raise EndpointError, 'no endpoint' if @endpoints.empty?

      freeze
    end

    # Reads xlreg://host:port,host:port/?sig=fingerprint. A host without a port has the default one. No error shows
    # anything of the line but hosts, since it may be a ticket, or have been one.
    # @param url [String]
    # @return [Target]
    # @raise [RegCredError] it is no such line
    def self.parse(url)
      url = url.scrub('?')
      refuse("#{url.bytesize} bytes, at most #{MAX_URL} allowed") if url.bytesize > MAX_URL
      refuse('this is a ticket: give it where a ticket is wanted') if Pasted.ticket?(url)

      parts = %r{\Axlreg://([^=?]*?)/\?(.*)\z}m.match(url) or refuse("want #{PREFIX}host:port/?sig=…")
      hosts = parts[1].split(',', -1).map { |host| with_port(host) }
      new(endpoints: hosts, fingerprint: digest(parts[2]))
    rescue FingerprintError
      refuse('sig: want a fingerprint, 43 characters of base64')
    rescue EndpointError => e
      refuse(e.message)
    end

    # Returns the target that what is. What people paste around a line or a file does not matter: blanks,
    # quotes, line ends, a mark of the byte order.
    # @param what [Target, RegCred, Ticket, String] credentials, an xlreg:// line, or the name of a file that holds
    #   either; of a ticket it is the registry
    # @return [Target]
    # @raise [SystemCallError] the file cannot be read
    # @raise [RegCredError] it holds no credentials, or the line is none
    def self.load(what)
      return what if what.is_a?(Target)
      return what.target if what.is_a?(RegCred)
      return what.registry if what.is_a?(Ticket)

      text = Pasted.clean(what.to_s)
      return parse(text) if Pasted.url?(text)
      return RegCred.parse(text).target if Pasted.file?(text)

      load_file(File.exist?(what.to_s) ? what.to_s : text)
    end

    # @api private
    def self.load_file(path)
      text = RegCred.read_text(path)
      Text.doing(path) { Pasted.url?(text) ? parse(text) : RegCred.parse(text).target }
    rescue Errno::ENOENT
      refuse('neither a line nor the name of a file') if Text.secret?(path)
      raise unless address?(path)

      raise RegCredError, "#{path} is an address alone, by which nobody can tell who answers there: get the " \
                          "registry's credentials with 'xlreg cred fetch #{path} --out regCred.dat', and give that file"
    end

    # @api private
    def self.address?(text)
      Endpoint.new(text)
      true
    rescue EndpointError
      false
    end

    # @api private
    def self.with_port(host) = host.include?(':') && !host.end_with?(']') ? host : "#{host}:#{Limits::DEFAULT_PORT}"

    # @api private
    def self.digest(query)
      parameters = query.split('&', -1).map { |parameter| parameter.split('=', 2) }
      refuse('a parameter that is unknown') unless parameters.all? { |name, _| name == 'sig' }
      refuse('want one sig') unless parameters.size == 1

      parameters[0][1].to_s
    end

    # @api private
    def self.refuse(why) = raise(RegCredError, "registry url: #{why}")
    private_class_method :load_file, :address?, :with_port, :digest, :refuse

    # @return [String] the line that parse reads
    def url
      digest = [Fingerprint.parse(fingerprint)].pack('m0').tr('+/', '-_').delete('=')
      "#{PREFIX}#{endpoints.join(',')}/?sig=#{digest}"
    end

    # @return [String]
    def inspect = "#<Xlreg::Target #{url}>"
  end
end
