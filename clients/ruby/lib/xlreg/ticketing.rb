# frozen_string_literal: true

module Xlreg
  # The commands of the command line that make and show tickets.
  # @api private
  module Ticketing
    NO_SUCH_KEY = "want a node's directory, or its public key as 'xlreg-rb node show DIR --key' prints it"
    MOST_OF_A_KEY = 16 << 10 # bytes of a file that holds a public key
    private_constant :NO_SUCH_KEY, :MOST_OF_A_KEY

    private

    # @return [Ticket, nil] what the command line, a file, the environment or standard input gives
    def ticket
      return unless @command.ticket?

      @ticket ||= @command.ticket_file ? ticket_in(@command.ticket_file) : ticket_of(@command.ticket_text)
    end

    def ticket_of(line)
      return Ticket.parse(Pasted.clean(line)) unless line == '-'

      Text.doing('standard input') { Ticket.parse(Pasted.clean(@input.read(Limits::MAX_REQUEST).to_s)) }
    end

    def ticket_in(path)
      found = Ticket.read(path)
      info = File.stat(path)
      open = info.file? && !(info.mode & 0o077).zero? && %i[owner invite].include?(found.kind)
      note("others may read the ticket in #{path}, which is a secret: run chmod 600 #{path}") if open
      found
    end

    def ticket_new
      give(Ticket.new_owner(modern_target, @command.argument, size: @command.size, endpoint_count: @command.endpoints))
    end

    # Returns the registry, which has to speak 2.0: the others know no tickets.
    def modern_target
      cred = target.cred
      return target if cred.nil? || !cred.protocol.classic? || @command.protocol == Protocol::V20

      raise RegCredError, "#{@command[:registry]} is of a registry of version #{cred.version}, which knows no " \
                          'tickets; if it has been upgraded since, say --protocol 2.0'
    end

    def ticket_invite
      life = @command[:for]
      give(ticket.invite(uses: @command.uses, not_after: life&.positive? ? Time.now + life : nil))
    end

    # Admits the node of a directory, one whose public key is given or in a file, or a member with a fingerprint.
    def ticket_admit = give(ticket.admit(admitted_key(@command.argument)))

    def admitted_key(node)
      return key_of_member(node) if node.start_with?('SHA256:')
      return key_of_line(node) if node.match?(/\A\s*(?:ssh-|ecdsa-)/)
      return Node.load(node) if File.directory?(node)

      Text.doing(node) { key_of_line(File.binread(node, MOST_OF_A_KEY).to_s) }
    rescue Errno::ENOENT
      raise PublicKeyError, "#{Text.quote(node)}: no such file: #{NO_SUCH_KEY}"
    end

    # Reads a public key, in the form of OpenSSH or in PEM.
    def key_of_line(text)
      return PublicKey.from_line(text.strip) unless text.include?('-----BEGIN')

      PublicKey.der(OpenSSL::PKey.read(text)).tap { |der| PublicKey.parse(der, modern: true) }
    rescue PublicKeyError, OpenSSL::PKey::PKeyError
      raise PublicKeyError, NO_SUCH_KEY
    end

    # Asks the registry for the key with a fingerprint. What the owner signs is the key itself, so it has to be known in
    # full.
    def key_of_member(fingerprint)
      wanted = Fingerprint.normalize(fingerprint)
      roster = owner.members(timeout: CLI::REQUEST_SECONDS)
      found = roster.members.find { |member| PublicKey.fingerprint(member.token.sig_key) == wanted }
      return found.token.sig_key if found

      raise PublicKeyError, "no member of #{ticket.cluster} has the key #{wanted}, and the fingerprint of a key is " \
                            "not enough to admit it: #{NO_SUCH_KEY}"
    rescue FingerprintError => e
      raise UsageError, e.message
    end

    def ticket_reader = give(ticket.reader)

    # Hands a ticket out: to a new file that only its owner can read, or to standard output, where it stands alone.
    def give(made)
      if @command[:out]
        write_ticket(made, @command[:out])
        return @output.ticket(made)
      end

      @output.json? ? @output.ticket(made, secret: true) : "#{made.text}\n"
    end

    def write_ticket(made, path)
      File.open(path, File::WRONLY | File::CREAT | File::EXCL, 0o600) do |file|
        file.write("#{made.text}\n")
        file.fsync
      end
    rescue Errno::EEXIST
      raise TicketError, "#{path} is there already, perhaps a ticket that cannot be made again: choose another --out"
    end

    def ticket_show = @output.ticket(ticket, secret: @command.secret?)
  end
end
