# frozen_string_literal: true

# The errors that no registry answers with: what happens on the way, and what is wrong with what was given.
module Xlreg
  # The time given was up.
  class DeadlineError < Error
    DEFAULT = 'time is up'
  end

  # No session with the registry could be had before the time was up.
  class UnreachableError < DeadlineError
    # @return [Array<Error>] what the last try at each endpoint failed with
    attr_reader :failures

    # @param failures [Array<Error>]
    def initialize(failures)
      super(['no session with the registry', *failures.map(&:message)].join('; '))
      @failures = failures.dup.freeze
    end
  end

  # The wait for a cluster's members ended before all of them were there.
  class IncompleteError < DeadlineError
    # @return [Roster, nil] who had joined when last heard; nil if nothing was heard
    attr_reader :roster
    # @return [Integer] how many members were waited for; 0 if that was not known yet
    attr_reader :size
    # @return [Error, nil] what stood in the way besides absent members
    attr_reader :obstacle
    # @return [Symbol, nil] whether the node itself had joined: :joined, :asked if no answer to that came, or
    #   :apart; nil of one who only waited for others
    attr_reader :standing
    # @return [Integer, nil] the node's own index, once that was heard
    attr_reader :index
    # @return [Float, nil] for how many seconds the registry had not been heard; nil if it never was
    attr_reader :silence

    # @param roster [Roster, nil]
    # @param size [Integer]
    # @param obstacle [Error, nil]
    # @param more [Hash] standing, index and silence
    def initialize(roster, size, obstacle: nil, **more)
      @roster = roster
      @size = size
      @obstacle = obstacle
      @standing, @index, @silence = more.values_at(:standing, :index, :silence)
      super(["#{count}: time is up", obstacle&.message].compact.join(': ') + facts.map { |fact| "; #{fact}" }.join)
    end

    # @return [Integer] how many had not joined, as far as is known
    def missing = [0, size - (roster ? roster.members.size : 0)].max

    # @return [Boolean] whether the node itself has a place in the cluster
    def joined? = standing == :joined

    private

    def count
      return "#{roster.members.size} of #{size} members joined, #{missing} missing" if roster
      return 'members not heard of' if size.zero?

      "#{size} members wanted, none heard of"
    end

    def facts = [own, heard, vacant, joined].compact

    def own
      case standing
      when :joined then index ? "this node has joined, with index #{index}" : 'this node has joined'
      when :asked then 'this node asked to join, and no answer came'
      when :apart then 'this node has not joined'
      end
    end

    def heard
      return 'registry never heard' if silence.nil?

      "registry last heard #{Text.duration(silence)} ago"
    end

    def vacant
      return if roster.nil? || missing.zero?

      free = (0...[size, roster.cluster.size].max).to_a - roster.members.map(&:index)
      "nobody at index #{Text.list(free)}"
    end

    def joined
      return if roster.nil? || roster.members.empty?

      "joined: #{roster.members.map(&:describe).join(', ')}"
    end
  end

  # No session came about: the other end is no registry, speaks something else, or refuses this client.
  class HandshakeError < Error; end

  # The other end is a server of something else, so that trying again is no use.
  class NotARegistryError < HandshakeError; end

  # The registry could not prove to be the one wanted.
  class UntrustedError < HandshakeError; end

  # The registry showed a certificate of the right key whose dates do not hold: this machine's clock is
  # wrong, or the registry's. Somebody may set it, so a wait goes on.
  class ClockError < UntrustedError; end

  # The session with the registry is over: connect again. The connection broke, a call was given up in
  # the middle, the client was closed, or the registry ended it with an error.
  class SessionEndedError < Error; end

  # The credentials are of a registry from before 2.0, and nobody chose to speak a classic protocol.
  class OriginalRegistryError < Error; end

  # A client without a node can only read.
  class NeedsNodeError < Error
    DEFAULT = 'no node: this client can only read'
  end

  # The node has no ID from this registry yet.
  class NotRegisteredError < Error
    DEFAULT = 'node is not registered with this registry'
  end

  # Classic carriers cannot carry what was asked.
  class Needs20Error < Error
    DEFAULT = 'needs protocol 2.0'
  end

  # An error about some members.
  class MembersError < Error
    # @return [Array<Member>] the members
    attr_reader :members

    # @param text [String]
    # @param members [Array<Member>]
    def initialize(text = nil, members: [])
      super(text)
      @members = members.dup.freeze
    end
  end

  # Members' tokens carry no proof: they registered over a classic carrier, or were read over one.
  class UnverifiedError < MembersError; end

  # Members see another cluster at the same revision: the registry lies to them or to this node.
  class OtherRosterError < MembersError
    # @return [Comparison, nil] what every member sees
    attr_reader :comparison

    # @param text [String]
    # @param members [Array<Member>]
    # @param comparison [Comparison, nil]
    def initialize(text = nil, members: [], comparison: nil)
      super(text, members: members)
      @comparison = comparison
    end
  end

  # A registry has signed two different rosters of one cluster and revision, which convicts it.
  class ContradictionError < Error; end

  # A membership was closed.
  class ClosedError < Error
    DEFAULT = 'the membership was closed'
  end

  # The other end of a TLS connection is none of the other members.
  class StrangerError < Error; end

  # An address cannot be registered, since nobody could reach the node there.
  class AddressError < Error; end

  # A host name has no address yet, as that of a machine that has just started.
  class UnresolvedError < AddressError; end

  # There is no program xlreg for the test helper to run, or it does not open a registry.
  class NoProgramError < Error; end

  # Some bytes or text do not have the form that they must have.
  class FormatError < Error; end

  # Not an ID: 20 or 32 bytes, 40 or 64 hex digits.
  class IDError < FormatError; end

  # Not an endpoint: host:port.
  class EndpointError < FormatError; end

  # Not a version: two to four numbers of 0 to 255.
  class VersionError < FormatError; end

  # Not a public key of a kind and size that are allowed, in its one form.
  class PublicKeyError < FormatError; end

  # Not a private key that can be used.
  class PrivateKeyError < FormatError; end

  # Not a fingerprint: SHA256: and 43 characters of base64.
  class FingerprintError < FormatError; end

  # A certificate is not of the form that it must have.
  class CertificateError < FormatError; end

  # Not the credentials of a registry.
  class RegCredError < FormatError
    # @return [Integer] the number of the line at fault, from 1; 0 if there is none
    attr_reader :line

    # @param text [String]
    # @param line [Integer]
    def initialize(text = nil, line: 0)
      super(line.zero? ? text : "line #{line}: #{text}")
      @line = line
    end
  end

  # Not a ticket, or one that is not for what was asked. The text shows nothing that could be secret.
  class TicketError < FormatError; end

  # The ticket is not the owner's, and only the owner can do this.
  class NotOwnerError < TicketError
    DEFAULT = "only the owner's ticket can do this"
  end

  # A node's directory cannot be used; the text names the file and the remedy.
  class NodeError < Error; end

  # A directory already holds a node.
  class NodeExistsError < NodeError; end

  # A directory holds no node.
  class NoNodeError < NodeError; end

  # Another process, or another part of this one, writes to the directory.
  class NodeInUseError < NodeError; end

  # A change was asked of a node that was loaded for reading, or is closed.
  class NodeReadOnlyError < NodeError; end
end
