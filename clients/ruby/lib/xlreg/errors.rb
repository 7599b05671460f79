# frozen_string_literal: true

module Xlreg
  # The root of all errors of this gem. Only these come out of it, and besides them ArgumentError (an
  # argument that makes no sense) and SystemCallError (a file that cannot be read).
  #
  #     Error
  #     ├── RegistryError               one of the kinds that travel; has code, detail, retry_after
  #     │   ├── NoSuchClusterError
  #     │   │   ├── NoSuchClusterIDError      1
  #     │   │   └── NoSuchClusterNameError    2
  #     │   ├── MemberIDInUseError            3
  #     │   │   └── TwinError                     another process runs as this node; has endpoints, joined
  #     │   ├── TooFewEndpointsError          4
  #     │   ├── MemberNameInUseError          5
  #     │   ├── IDInUseError                  6
  #     │   ├── NoClusterNamedError           7
  #     │   ├── WrongStateError               8
  #     │   ├── BadTagError                   9
  #     │   ├── UnexpectedTypeError          10
  #     │   ├── IllFormedTokenError          11
  #     │   ├── BadSignatureError            12
  #     │   ├── ClusterFullError             13
  #     │   ├── TooManyRequestsError         14   retry_after says when to come back
  #     │   ├── NotMemberError               15
  #     │   │   └── NewEpochError                 the cluster has started anew without this member
  #     │   ├── IdentityRequiredError        16
  #     │   ├── ClusterSizeError             17   never sent: raised here; has cluster
  #     │   ├── TryLaterError                18   retry_after says when to come back
  #     │   ├── ProtocolError                19
  #     │   ├── IllFormedNameError           20
  #     │   ├── AdmissionRefusedError        21   says what is wrong with the owner's leave
  #     │   ├── OrdersChangedError           22   has orders, the number that are done
  #     │   ├── RegistryFullError            23   retry_after says when to come back
  #     │   └── KeyNotAdmittedError          24
  #     ├── DeadlineError               time was up
  #     │   ├── UnreachableError          no session with the registry; has failures
  #     │   └── IncompleteError           members are missing; says who is there
  #     ├── HandshakeError              no session came about
  #     │   ├── NotARegistryError         there is a server of something else
  #     │   └── UntrustedError            the registry is not the one wanted
  #     │       └── ClockError              it may be, but a clock is wrong; says by how much
  #     ├── SessionEndedError           the session is over: connect again
  #     ├── OriginalRegistryError       old credentials, and nobody chose a classic protocol
  #     ├── NeedsNodeError              a client without a node can only read
  #     ├── NotRegisteredError          the node has no ID from this registry
  #     ├── Needs20Error                a classic carrier cannot carry that
  #     ├── UnverifiedError             a member's token carries no proof
  #     ├── OtherRosterError            members see another cluster: their registry lies; has members
  #     ├── ContradictionError          a registry has signed two rosters that cannot both be true
  #     ├── ClosedError                 the membership was closed
  #     ├── StrangerError               the other end of a connection is no member of the cluster
  #     ├── AddressError                nobody could reach the node there
  #     │   └── UnresolvedError           a host name has no address, perhaps not yet
  #     ├── NoProgramError              the test helper finds no program xlreg, or it does not start
  #     ├── FormatError                 bytes or text of the wrong form
  #     │   ├── IDError
  #     │   ├── EndpointError
  #     │   ├── VersionError
  #     │   ├── PublicKeyError
  #     │   ├── PrivateKeyError
  #     │   ├── FingerprintError
  #     │   ├── CertificateError
  #     │   ├── RegCredError              has line
  #     │   └── TicketError               no ticket, or one that is not for this; shows no secret
  #     └── NodeError                   a node's directory: says which file, and the remedy
  #         ├── NodeExistsError
  #         ├── NoNodeError
  #         ├── NodeInUseError
  #         └── NodeReadOnlyError
  class Error < StandardError
    # What an error of this class says when nothing more is known.
    DEFAULT = 'error'

    # @param text [String, nil] what went wrong
    def initialize(text = nil)
      super(text || self.class::DEFAULT)
      @doing = []
    end

    # @return [String] one line: what was being done, outermost first, and what went wrong. Nothing in it
    #   commands a terminal, even if a peer wrote it.
    def to_s = Text.printable([*@doing, super].join(': '))

    # Puts what was being done before the text.
    # @param what [#to_s]
    # @return [self]
    def while_doing(what)
      @doing.unshift(what.to_s)
      self
    end
  end

  # An error of one of the kinds of section 5.10, answered by a registry or raised here in its stead.
  class RegistryError < Error
    # The number of the kind.
    CODE = 0
    # The text of the kind.
    TEXT = ''

    # @return [String] one phrase about this one case, or empty
    attr_reader :detail
    # @return [Float] in how many seconds to try again; 0 if that is not known
    attr_reader :retry_after

    # @param detail [String]
    # @param retry_after [Float]
    def initialize(detail = '', retry_after: 0.0)
      text = self.class::TEXT
      super(detail.empty? ? text : "#{text}: #{detail}")
      @detail = detail
      @retry_after = retry_after
    end

    # @return [Integer] the number of the kind
    def code = self.class::CODE
  end

  # There is no such cluster.
  class NoSuchClusterError < RegistryError; end

  # No cluster has the ID asked for.
  class NoSuchClusterIDError < NoSuchClusterError
    CODE = 1
    TEXT = 'cannot find cluster with this ID'
  end

  # No cluster has the name asked for.
  class NoSuchClusterNameError < NoSuchClusterError
    CODE = 2
    TEXT = 'cannot find cluster with this name'
  end

  # Another member of the cluster has the ID.
  class MemberIDInUseError < RegistryError
    CODE = 3
    TEXT = 'cluster member id already in use'
  end

  # Another process runs as this node, with its key, and has taken its seat: a copy of the machine, for example, or a
  # second start of the program.
  class TwinError < MemberIDInUseError
    # @return [Array<Endpoint>] where the other one says that it is reached
    attr_reader :endpoints
    # @return [Time, nil] when it took the seat, by the registry's clock
    attr_reader :joined

    # @param detail [String]
    # @param retry_after [Float]
    # @param endpoints [Array<Endpoint>]
    # @param joined [Time, nil]
    def initialize(detail = '', retry_after: 0.0, endpoints: [], joined: nil)
      super(detail, retry_after: retry_after)
      @endpoints = endpoints
      @joined = joined
    end

    # @param member [Member] as which the other one is seen
    # @return [TwinError]
    # @api private
    def self.of(member)
      token = member.token
      at = ", at #{token.endpoints.first}" unless token.endpoints.empty?
      since = ", and took its seat at #{Text.time(token.joined)}" if token.joined
      new("another process runs as this node, with its key#{at}#{since}", endpoints: token.endpoints,
                                                                          joined: token.joined)
    end
  end

  # The node has fewer endpoints than the cluster asks for.
  class TooFewEndpointsError < RegistryError
    CODE = 4
    TEXT = 'cluster members must have at least one endPoint'
  end

  # Another member of the cluster, with another key, has the name.
  class MemberNameInUseError < RegistryError
    CODE = 5
    TEXT = 'cluster member name already in use'
  end

  # The ID proposed belongs to another key, a cluster or the registry.
  class IDInUseError < RegistryError
    CODE = 6
    TEXT = 'ID already in use'
  end

  # Neither name nor ID of a cluster given, and no earlier request names one.
  class NoClusterNamedError < RegistryError
    CODE = 7
    TEXT = 'missing cluster name or ID'
  end

  # The message is not allowed at this point of the session.
  class WrongStateError < RegistryError
    CODE = 8
    TEXT = 'invalid msg type for current state'
  end

  # The message is of a type that does not exist.
  class BadTagError < RegistryError
    CODE = 9
    TEXT = 'message tag out of range'
  end

  # A deployed server's word for WrongStateError.
  class UnexpectedTypeError < RegistryError
    CODE = 10
    TEXT = 'unexpected message type'
  end

  # A token breaks a limit or does not parse.
  class IllFormedTokenError < RegistryError
    CODE = 11
    TEXT = 'ill-formed token'
  end

  # A signature or certificate does not verify, or the registry does not know the node.
  class BadSignatureError < RegistryError
    CODE = 12
    TEXT = 'signature does not verify'
  end

  # Every place is taken.
  class ClusterFullError < RegistryError
    CODE = 13
    TEXT = 'cluster is full'
  end

  # A limit of this address is reached.
  class TooManyRequestsError < RegistryError
    CODE = 14
    TEXT = 'too many requests'
  end

  # The node is not in the cluster.
  class NotMemberError < RegistryError
    CODE = 15
    TEXT = 'not a member'
  end

  # The cluster has started anew since the node took its seat. Started again, the program joins the new epoch.
  class NewEpochError < NotMemberError; end

  # Writing without having said who one is.
  class IdentityRequiredError < RegistryError
    CODE = 16
    TEXT = 'identity required'
  end

  # The cluster exists with another size than asked for.
  class ClusterSizeError < RegistryError
    CODE = 17
    TEXT = 'cluster has another size'

    # @return [Cluster, nil] what exists
    attr_reader :cluster

    # @param detail [String]
    # @param retry_after [Float]
    # @param cluster [Cluster, nil]
    def initialize(detail = '', retry_after: 0.0, cluster: nil)
      super(detail, retry_after: retry_after)
      @cluster = cluster
    end
  end

  # The registry cannot write at the moment.
  class TryLaterError < RegistryError
    CODE = 18
    TEXT = 'try again later'
  end

  # What came is no message, or not the one that has to come.
  class ProtocolError < RegistryError
    CODE = 19
    TEXT = 'protocol error'
  end

  # A name breaks the rules for names.
  class IllFormedNameError < RegistryError
    CODE = 20
    TEXT = 'ill-formed name'
  end

  # The cluster has an owner, who has not admitted the node: the detail says what is wrong.
  class AdmissionRefusedError < RegistryError
    CODE = 21
    TEXT = 'admission refused'
  end

  # An order has another number than the next one: somebody else gave one.
  class OrdersChangedError < RegistryError
    CODE = 22
    TEXT = 'orders have changed'

    # @return [Integer] how many are done
    attr_reader :orders

    # @param detail [String]
    # @param retry_after [Float]
    # @param orders [Integer]
    def initialize(detail = '', retry_after: 0.0, orders: 0)
      super(detail, retry_after: retry_after)
      @orders = orders
    end
  end

  # The registry keeps as much as it may.
  class RegistryFullError < RegistryError
    CODE = 23
    TEXT = 'registry is full'
  end

  # The registry admits some keys only, and not this one.
  class KeyNotAdmittedError < RegistryError
    CODE = 24
    TEXT = 'key is not admitted'
  end

  # Every kind by its code.
  KINDS = [
    NoSuchClusterIDError, NoSuchClusterNameError, MemberIDInUseError, TooFewEndpointsError,
    MemberNameInUseError, IDInUseError, NoClusterNamedError, WrongStateError, BadTagError,
    UnexpectedTypeError, IllFormedTokenError, BadSignatureError, ClusterFullError,
    TooManyRequestsError, NotMemberError, IdentityRequiredError, ClusterSizeError, TryLaterError,
    ProtocolError, IllFormedNameError, AdmissionRefusedError, OrdersChangedError, RegistryFullError,
    KeyNotAdmittedError
  ].to_h { |kind| [kind::CODE, kind] }.freeze

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

  # A member's token carries no proof: it registered over a classic carrier, or was read over one.
  class UnverifiedError < Error
    # @return [Array<Member>] those that have proved nothing
    attr_reader :members

    # @param text [String]
    # @param members [Array<Member>]
    def initialize(text = nil, members: [])
      super(text)
      @members = members.dup.freeze
    end
  end

  # Members see another cluster at the same revision: the registry lies to them or to this node.
  class OtherRosterError < Error
    # @return [Array<Member>] those that do
    attr_reader :members

    # @param text [String]
    # @param members [Array<Member>]
    def initialize(text = nil, members: [])
      super(text)
      @members = members.dup.freeze
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
