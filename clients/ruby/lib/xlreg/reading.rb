# frozen_string_literal: true

module Xlreg
  # The commands of the command line that show a cluster and change nothing.
  # @api private
  module Reading
    # A signed roster that does not verify.
    class DocumentError < StandardError; end

    private

    def get
      return show(wait) if @command.wait.positive?
      return follow if @command.watch?
      return save_signed if @command[:signed]

      show(session(CLI::REQUEST_SECONDS) { |client| client.members(ref, timeout: CLI::REQUEST_SECONDS) })
    end

    # Waits for the whole roster.
    def wait
      limit = Limit.new(@command.wait)
      as_reader do |node|
        options = Options.of(target, node: node, protocol: @command.protocol)
        status(limit) do |line|
          Awaiting.new(options, ref, 0, line.method(:show), follow: line.visible?).run(limit)
        end
      end
    rescue DeadlineError => e
      raise CLI::WaitOver, e.message
    end

    # Runs the block with nil where reading needs no node.
    def as_reader(&) = @command.protocol&.classic? ? with_node(&) : yield(nil)

    def save_signed
      signed = session(CLI::REQUEST_SECONDS) { |client| client.signed(ref, timeout: CLI::REQUEST_SECONDS) }
      AtomicFile.write(@command[:signed], signed.document, 0o644)
      show(signed.roster)
    end

    # Shows the roster and then each change, until it is interrupted or the cluster is gone.
    def follow
      seen = last = nil
      tell = lambda do |error|
        text = CLI.one_line(error)
        note("trying again: #{text}") unless text == last
        last = text
      end
      meet = ->(error) { error ? tell.call(error) : remark('the registry is back') }
      Follower.new(Options.of(target), ref, strangers: Strangers.new(Timing::DEFAULT.stranger, meet)) do |roster|
        show_change(seen, Change.between(seen, roster))
        seen = roster
      end.run(Limit.new(nil), tell: tell)
      ''
    end

    def show_change(seen, change)
      return unless seen.nil? || change.any?

      @out.write(seen.nil? && !@output.json? ? @output.roster(change.roster) : @output.change(change))
      @out.flush
    end

    # Verifies files that get --signed has written, each on its own and then against each other.
    def verify
      signed = @command.files.map { |file| [file, document(file)] }
      @out.write(@output.documents(signed))
      signed.combination(2) do |(one, first), (other, second)|
        next unless first.contradicts?(second)

        raise ContradictionError, "#{one} and #{other}: the registry has signed two different rosters for " \
                                  "#{contradicting(first, second)}"
      end
      ''
    end

    def contradicting(first, second)
      sums = [first, second].map { |signed| "#{signed.short_sum}, signed at #{Text.time(signed.signed)}" }
      "revision #{first.roster.state.revision} of #{first.roster.cluster}: #{sums.join(', and ')}"
    end

    def document(file)
      SignedRoster.load(File.binread(file), target)
    rescue Error => e
      raise DocumentError, "#{file}: signed roster does not hold: #{e.message.delete_prefix('signed roster: ')}"
    end
  end
end
