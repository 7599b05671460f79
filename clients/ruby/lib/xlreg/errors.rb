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
  #     ├── MembersError                has members
  #     │   ├── UnverifiedError           their tokens carry no proof
  #     │   └── OtherRosterError          they see another cluster: their registry lies
  #     ├── ContradictionError          a registry has signed two rosters that cannot both be true
  #     ├── ClosedError                 the membership was closed
  #     ├── StrangerError               the other end of a connection is no member of the cluster
  #     ├── AddressError                nobody could reach the node there
  #     │   └── UnresolvedError           a host name has no address, perhaps not yet
  #     ├── SavedRosterError            a saved roster is not for this node to start from
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
  #     │       └── NotOwnerError           only the owner's can do this
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
end
