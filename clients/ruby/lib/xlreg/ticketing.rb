# frozen_string_literal: true

module Xlreg
  # The commands of the command line that deal with tickets, orders and signed rosters.
  # @api private
  module Ticketing
    private

    # @return [Ticket, nil] what the command line, a file, the environment or standard input gives
    def ticket
      return unless @command.ticket?

      @ticket ||= @command.ticket_file ? ticket_in(@command.ticket_file) : Ticket.parse(Pasted.clean(ticket_line))
    end

    def ticket_line = @command.ticket_text == '-' ? @input.read.to_s : @command.ticket_text

    def ticket_in(path)
      found = Ticket.read(path)
      info = File.stat(path)
      open = info.file? && !(info.mode & 0o077).zero? && %i[owner invite].include?(found.kind)
      note("others may read the ticket in #{path}, which is a secret: run chmod 600 #{path}") if open
      found
    end

    def ticket_new
      give(Ticket.new_owner(target, @command.argument, size: @command.size, endpoint_count: @command.endpoints))
    end

    def ticket_invite
      life = @command[:for]
      give(ticket.invite(uses: @command[:uses] || 0, not_after: life && (Time.now + life)))
    end

    # Admits the node of a directory, or one whose public key is in a file.
    def ticket_admit
      path = @command.argument
      give(ticket.admit(File.directory?(path) ? Node.load(path) : public_key(File.binread(path))))
    end

    def public_key(text)
      PublicKey.der(OpenSSL::PKey.read(text)).tap { |der| PublicKey.parse(der, modern: true) }
    rescue OpenSSL::PKey::PKeyError
      raise PublicKeyError, 'want the directory of a node, or a file with its public key in PEM'
    end

    def ticket_reader = give(ticket.reader)

    # Hands a ticket out: to a file that only its owner can read, or to standard output, where it stands alone.
    def give(made)
      path = @command[:out]
      return "#{made.text}\n" unless path

      File.open(path, File::WRONLY | File::CREAT | File::EXCL, 0o600) { |file| file.write("#{made.text}\n") }
      @output.fields(*shown(made))
    end

    def ticket_show = @output.fields(*shown(ticket))

    def shown(one)
      ends = one.registry.endpoints.map(&:to_s)
      values = { 'kind' => one.kind.to_s, 'cluster' => one.cluster, 'size' => one.size,
                 'endpointCount' => one.endpoint_count, 'key' => Ed25519.text(one.key), 'registry' => ends,
                 'sig' => one.registry.fingerprint }
      values.merge!(shown_invite(one.invited)) if one.invited
      [values, values.map { |name, value| [name, value.is_a?(Array) ? value.join(',') : value.to_s] }]
    end

    def shown_invite(invite)
      { 'invite' => Ed25519.text(invite.key), 'uses' => invite.uses.zero? ? 'any number' : invite.uses,
        'until' => invite.not_after ? Text.time(invite.not_after) : 'for ever' }
    end

    def owner = Owner.new(ticket)

    def evict
      named = @command.argument
      member = owner.members(timeout: CLI::REQUEST_SECONDS).members.find do |one|
        [one.name, PublicKey.fingerprint(one.token.sig_key)].include?(named)
      end
      raise NotMemberError, Text.quote(named) unless member

      @command.ban? ? owner.ban(member) : owner.evict(member)
      ordered(@command.ban? ? 'ban' : 'evict', "#{@command.ban? ? 'banned' : 'evicted'} #{member.name}", member.name)
    end

    def revoke
      owner.revoke(Ticket.read(@command.argument))
      ordered('revoke', 'revoked the invite')
    end

    def reopen
      owner.reopen
      ordered('reopen', "reopened #{ticket.cluster}")
    end

    def delete
      raise UsageError, 'delete: a cluster is gone for good then; say --yes if you mean it' unless @command.yes?

      owner.delete
      ordered('delete', "deleted #{ticket.cluster}")
    end

    def ordered(order, text, member = nil)
      done = { 'order' => order, 'cluster' => ticket.cluster, 'member' => member }.compact
      @output.json? ? Output.encode(done) : "#{text}\n"
    end

    # Verifies files that get --signed has written, each on its own and then against each other.
    def verify
      files = @command.files
      signed = files.map { |file| Text.doing(file) { SignedRoster.load(File.binread(file), target) } }
      files.zip(signed).combination(2) do |(one, first), (other, second)|
        next unless first.contradicts?(second)

        raise ContradictionError, "#{one} and #{other}: the registry has signed two different rosters of one " \
                                  'revision, which convicts it'
      end
      @output.documents(files.zip(signed))
    end

    def save_signed
      signed = session(CLI::REQUEST_SECONDS) { |client| client.signed(ref, timeout: CLI::REQUEST_SECONDS) }
      AtomicFile.write(@command[:signed], signed.document, 0o644)
      show(signed.roster)
    end

    # Shows the roster and then each change, until it is interrupted.
    def follow
      first = true
      Xlreg.watch(ticket || target, ticket ? nil : ref) do |change|
        @out.write(first && !@output.json? ? @output.roster(change.roster) : @output.change(change))
        @out.flush
        first = false
      end
      ''
    end
  end
end
