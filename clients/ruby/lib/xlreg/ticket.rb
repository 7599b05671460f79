# frozen_string_literal: true

module Xlreg
  # One line that says where a registry is and how to know it, names a cluster with its key, and says what its holder
  # may do there (section 9.4). Tickets are made and handed on without a word to the registry.
  #
  # Those of owners and of the invited are secrets. Text is the only way to get at them: a ticket that is printed,
  # logged or inspected shows what everybody may know.
  #
  #     ticket = Xlreg::Ticket.new_owner('regCred.dat', 'web', size: 3)
  #     ticket.invite(uses: 2).text  # => "xlreg://…"
  class Ticket
    # The parameters of a line, in the order in which they are written.
    PARAMETERS = %w[sig cluster size endpoints owner key invite until uses by admit].freeze
    # Those of a ticket of each kind.
    KINDS = {
      owner: %w[sig cluster size endpoints owner],
      invite: %w[sig cluster size endpoints key invite until uses by],
      admit: %w[sig cluster size endpoints key admit],
      reader: %w[sig cluster size endpoints key]
    }.freeze
    MAX_LINE = 10 << 10
    MAX_NUMBER = (1 << 64) - 1
    private_constant :PARAMETERS, :KINDS, :MAX_LINE, :MAX_NUMBER

    # @return [Target] the registry; without credentials, which a line does not have
    attr_reader :registry
    # @return [String] the name of the cluster
    attr_reader :cluster
    # @return [Integer] how many members it is for
    attr_reader :size
    # @return [Integer] how many endpoints each must have
    attr_reader :endpoint_count
    # @return [String] the public half of its owner's key
    attr_reader :key
    # @return [OwnerKey, nil] the private half; nil unless the ticket is the owner's
    attr_reader :owner

    class << self
      # Makes a new cluster key, and its owner's ticket.
      # @param target [Target, RegCred, String] the registry
      # @param cluster [String] its name
      # @param size [Integer] how many members it is for, 2 to 1024
      # @param endpoint_count [Integer] how many endpoints each must have
      # @return [Ticket]
      # @raise [TicketError] a name or number is none
      def new_owner(target, cluster, size:, endpoint_count: 1)
        target = Target.load(target)
        owner = OwnerKey.generate
        new(registry: Target.new(endpoints: target.endpoints, fingerprint: target.fingerprint), cluster: cluster,
            size: size, endpoint_count: endpoint_count, key: owner.public_key, owner: owner)
      end

      # Reads a line as text writes it. No error shows anything that could be secret. Signatures in it are not looked
      # at before they are used.
      # @param line [String]
      # @return [Ticket]
      # @raise [TicketError] it is none
      def parse(line)
        new(**TicketParser.new(line).read)
      rescue Error => e
        raise e.is_a?(TicketError) ? e : TicketError.new(e.message)
      end

      # Reads a ticket as people paste it: blanks, quotes and line ends around it do not matter.
      # @param text [String, Ticket] a line, or the name of a file that holds one
      # @return [Ticket]
      # @raise [TicketError] it is none
      # @raise [SystemCallError] the file cannot be read
      def load(text)
        return text if text.is_a?(Ticket)

        line = Pasted.clean(text.to_s)
        return parse(line) if Pasted.url?(line)
        raise TicketError, 'want xlreg://host:port/?sig=…&cluster=…' if Text.secret?(line)

        read(text.to_s)
      end

      # @param path [String] a file that holds a ticket
      # @return [Ticket]
      # @raise [TicketError] there is none in it
      # @raise [SystemCallError] the file cannot be read
      def read(path) = Text.doing(path) { parse(Pasted.clean(RegCred.read_text(path))) }

      # @param text [Object]
      # @return [Boolean] whether it looks like a ticket, and not like the line of a registry
      def line?(text) = text.is_a?(String) && Pasted.ticket?(Pasted.clean(text))
    end

    # @api private
    def initialize(registry:, cluster:, size:, endpoint_count:, key:, owner: nil, inviter: nil, admit: nil)
      @registry = registry
      @cluster = Name.check(cluster)
      @size = in_range('size', size, Limits::MIN_CLUSTER..Limits::MAX_CLUSTER)
      @endpoint_count = in_range('endpoints', endpoint_count, 1..Limits::MAX_ENDPOINTS)
      @key = key
      @owner = owner
      @inviter = inviter
      @admit = admit
      freeze
    rescue IllFormedNameError => e
      raise TicketError, "cluster: #{e.detail}"
    end

    # @return [Symbol] what its holder may do: :owner, :invite, :admit or :reader
    def kind
      return :owner if owner
      return :invite if @inviter

      @admit ? :admit : :reader
    end

    # @return [Boolean] whether it is the owner's
    def owner? = !owner.nil?

    # @return [Invite, nil] what everybody may know of the invite; nil unless the ticket is an invite's
    def invited = @inviter&.invite

    # @return [String, nil] the owner's signature for one sig key; nil unless the ticket is for that
    def admitted = @admit

    # @return [ClusterRef] names the cluster
    def ref = ClusterRef.new(name: cluster, key: key)

    # @param sig_key [String] of a node
    # @return [Admission] the leave to join
    # @raise [TicketError] the ticket does not admit it
    # @api private
    def admission(sig_key)
      case kind
      when :owner then owner.admit(cluster, sig_key)
      when :invite then @inviter.admit(sig_key)
      when :admit then direct(sig_key)
      else raise TicketError, 'this ticket is for looking at the cluster only: ask its owner for an invite'
      end
    end

    # Makes a ticket by which others become members. Only the owner's can.
    # @param uses [Integer] how many may, at most 1000; 0 is any number
    # @param not_after [Time, nil] when it ends; nil is never
    # @return [Ticket]
    # @raise [NotOwnerError] this is not the owner's
    def invite(uses: 0, not_after: nil)
      made(inviter: owners.invite(cluster, uses: uses, not_after: not_after))
    end

    # Makes a ticket by which one node becomes a member. There is no secret in it. Only the owner's can.
    # @param sig_key [String, Node] the node's public key, or the node
    # @return [Ticket]
    # @raise [NotOwnerError] this is not the owner's
    def admit(sig_key)
      sig_key = sig_key.keys.sig_key if sig_key.is_a?(Node)
      made(admit: owners.admit(cluster, sig_key).sig)
    end

    # @return [Ticket] one that admits nobody, and lets its holder verify what the registry says of the cluster
    def reader = made

    # @return [String] the ticket in full, with whatever is secret in it
    def text
      values = { 'cluster' => cluster, 'size' => size, 'endpoints' => endpoint_count }
      values.merge!(owner ? { 'owner' => Ed25519.text(owner.seed) } : leave)
      "#{registry.url}&#{values.map { |name, value| "#{name}=#{value}" }.join('&')}"
    end

    # @return [String] what it is for, and nothing that is secret
    def inspect = "#<Xlreg::Ticket #{kind} of cluster #{cluster} (#{size} members, key #{Ed25519.text(key)})>"
    alias to_s inspect

    # Shows the same with pp.
    def pretty_print(printer) = printer.text(inspect)

    private

    def in_range(what, number, range)
      return number if number.is_a?(Integer) && range.cover?(number)

      raise TicketError, "#{what}: want #{range.min} to #{range.max}"
    end

    def owners = owner || raise(NotOwnerError)

    def made(**leave)
      Ticket.new(registry: registry, cluster: cluster, size: size, endpoint_count: endpoint_count, key: key, **leave)
    end

    def leave
      return { 'key' => Ed25519.text(key), 'admit' => Ed25519.text(@admit) } if @admit
      return { 'key' => Ed25519.text(key) } unless @inviter

      invite = @inviter.invite
      { 'key' => Ed25519.text(key), 'invite' => Ed25519.text(@inviter.seed), 'until' => invite.not_after_millis,
        'uses' => invite.uses, 'by' => Ed25519.text(invite.sig) }
    end

    def direct(sig_key)
      Admission.new(sig: @admit).tap { |admission| admission.verify(cluster, key, sig_key) }
    rescue AdmissionRefusedError
      raise TicketError, "this ticket admits another node: ask the cluster's owner for one for this node's key"
    end
  end

  # Takes the line of a ticket apart.
  # @api private
  class TicketParser
    KINDS = Ticket.const_get(:KINDS)
    # What an invite need not have.
    OPTIONAL = { 'until' => '0', 'uses' => '0' }.freeze
    private_constant :KINDS, :OPTIONAL

    # @param line [String]
    def initialize(line)
      @line = line
    end

    # @return [Hash] what Ticket.new takes
    def read
      hosts, query = split
      @values = values(query)
      raise TicketError, 'this is the line of a registry: a ticket names a cluster, too' unless @values.key?('cluster')

      kind = check_kind
      { registry: Target.parse("#{hosts}/?sig=#{@values['sig']}"), cluster: @values['cluster'],
        size: number('size', Limits::MAX_CLUSTER), endpoint_count: number('endpoints', Limits::MAX_ENDPOINTS),
        **send(kind) }
    end

    private

    def refuse(why) = raise(TicketError, why)

    def split
      most = Ticket.const_get(:MAX_LINE)
      refuse("#{@line.bytesize} bytes, at most #{most} allowed") if @line.bytesize > most
      hosts, slash, query = @line.scrub('?').partition('/?')
      refuse('want xlreg://host:port/?sig=…&cluster=…') unless slash == '/?' && hosts.start_with?('xlreg://')
      [hosts, query]
    end

    # Returns the parameters by their names. Errors name no unknown one: it could be a part of a secret.
    def values(query)
      query.split('&', -1).each_with_object({}) do |parameter, found|
        name, value = parameter.split('=', 2)
        refuse('a parameter that is unknown') unless Ticket.const_get(:PARAMETERS).include?(name)
        refuse("#{name} is there twice") if found.key?(name)
        found[name] = value.to_s
      end
    end

    # Finds out the kind; a ticket has all parameters of its kind, and no other.
    def check_kind
      kind = %i[owner invite admit].find { |one| @values.key?(one.to_s) } || :reader
      @values = OPTIONAL.merge(@values) if kind == :invite
      wanted = KINDS.fetch(kind)
      missing = wanted - @values.keys
      refuse("no #{missing.first}") unless missing.empty?
      refuse("parameters that do not belong to a ticket of kind #{kind}") unless (@values.keys - wanted).empty?
      kind
    end

    def owner
      owner = OwnerKey.new(octets('owner', Ed25519::KEY))
      { key: owner.public_key, owner: owner }
    end

    def invite
      key = octets('key', Ed25519::KEY)
      invite = Invite.new(key: '', not_after_millis: number('until', Ticket.const_get(:MAX_NUMBER)),
                          uses: number('uses', Limits::MAX_USES), sig: octets('by', Ed25519::SIGNATURE))
      inviter = Inviter.new(octets('invite', Ed25519::KEY), name: @values['cluster'], cluster_key: key, invite: invite)
      { key: key, inviter: inviter }
    end

    def admit = { key: octets('key', Ed25519::KEY), admit: octets('admit', Ed25519::SIGNATURE) }

    def reader = { key: octets('key', Ed25519::KEY) }

    def number(name, most)
      text = @values[name]
      number = /\A(?:0|[1-9]\d{0,19})\z/.match?(text) ? text.to_i : most + 1
      number <= most ? number : refuse("#{name}: want a number up to #{most}")
    end

    # Reads so many bytes in the one form of base64url without padding.
    def octets(name, count)
      text = @values[name]
      bytes = /\A[A-Za-z0-9_-]+\z/.match?(text) ? text.tr('-_', '+/').unpack1('m') : ''
      return bytes if bytes.bytesize == count && Ed25519.text(bytes) == text

      refuse("#{name}: want #{count} bytes in base64url")
    end
  end
end
