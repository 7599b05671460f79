# frozen_string_literal: true

module Xlreg
  # The command line itself is wrong.
  # @api private
  class UsageError < StandardError; end

  # Which commands and flags there are, and what each is for.
  # @api private
  module Usage
    SHARED = %i[output registry node protocol].freeze
    TICKET = %i[ticket ticket_file].freeze
    # Each command: what it takes, its flags, and what it is for.
    VERBS = {
      'join' => ['NAME', [*SHARED, *TICKET, :name, :endpoint, :size, :create, :wait, :lease, :fresh, :take_over,
                          :offline, :offline_after, :label, :allow_unverified, :dir, :on_change],
                 'become a member of a cluster, and start COMMAND ARG… after -- as the member'],
      'get' => ['NAME', [*SHARED, *TICKET, :wait, :watch, :signed], 'show who is in a cluster'],
      'create' => ['[NAME]', [*SHARED, *TICKET, :name, :size, :endpoints, :unique, :print_join], 'make a cluster'],
      'leave' => ['NAME', [*SHARED, *TICKET], 'give a seat in a cluster up'],
      'verify' => ['FILE…', [:output, :registry, *TICKET], "verify what 'get --signed' wrote, and ask nobody"],
      'compare' => ['NAME', [*SHARED, *TICKET], 'ask the other members whether they see the same cluster'],
      'ticket new' => ['NAME', [*SHARED, :size, :endpoints, :out], "make the owner's ticket of a new cluster"],
      'ticket invite' => ['', [:output, *TICKET, :uses, :for, :out], 'make a ticket by which others become members'],
      'ticket admit' => ['NODE', [:output, *TICKET, :out], 'make a ticket by which one node becomes a member'],
      'ticket reader' => ['', [:output, *TICKET, :out], 'make a ticket that admits nobody'],
      'ticket show' => ['', [:output, *TICKET, :secret], 'show what a ticket is for'],
      'evict' => ['MEMBER', [*SHARED, *TICKET, :ban], 'put a member out of a cluster, as its owner'],
      'revoke' => ['INVITE', [*SHARED, *TICKET], 'take an invite back, as the owner of a cluster'],
      'reopen' => ['', [*SHARED, *TICKET], 'free all seats of a cluster, as its owner'],
      'delete' => ['', [*SHARED, *TICKET, :yes], 'delete a cluster for good, as its owner'],
      'node init' => ['DIR', %i[output name endpoint key sig_key comms_key], 'make a node'],
      'node show' => ['DIR', %i[output key], 'show a node, or with --key its public key alone'],
      'cred show' => ['FILE', %i[output], "show a registry's credentials"],
      'cred url' => ['FILE', %i[output protocol], 'print the xlreg:// line of a registry'],
      'cred fetch' => ['HOST:PORT', %i[output sig out], "get a registry's credentials from itself"],
      'version' => ['', %i[output], 'show the version']
    }.freeze
    # Each flag: how it is given, and what it is for.
    FLAGS = {
      output: ['-o', '--output FORMAT', 'table, wide or json (default table)'],
      registry: ['--registry FILE|URL', 'a regCred file or an xlreg:// line'],
      node: ['--node DIR', "the node's directory, made if it does not exist (default the user's own)"],
      name: ['--name NAME', "of a node that is made now (default this machine's, if need be with digits of the key)"],
      protocol: ['--protocol GENERATION', '2.0, 1.9 or 1.8 (default 2.0)'],
      endpoint: ['--endpoint HOST:PORT', 'of this member, repeatable; INTERFACE:PORT and :PORT find the host,',
                 'and observed:PORT takes the one that the registry sees'],
      size: ['--size MEMBERS', 'how many the cluster is made for, 2 to 1024'],
      create: ['--create', 'make the cluster, of --size members, if it does not exist'],
      wait: ['--wait TIME', 'such as 30s, for all members (default not at all, and 5m for COMMAND)'],
      lease: ['--lease TIME', 'lose the seat if COMMAND, or this machine, is gone for this TIME (default never)'],
      take_over: ['--take-over', 'take the seat of another process that runs as this node'],
      offline: ['--offline', 'start from the roster that this node keeps, and join when the registry is there'],
      offline_after: ['--offline-after TIME', 'do so if the registry cannot be reached for this TIME (default 30s;',
                      '0 is never)'],
      dir: ['--dir DIR', "write the files for programs in DIR (default clusters/NAME in the node's)"],
      on_change: ['--on-change CMD', 'run this shell CMD while COMMAND runs each time that the members have changed',
                  'and peers.pem and roster.json are new'],
      allow_unverified: ['--allow-unverified', 'take members of classic carriers, who have proved nothing, too'],
      endpoints: ['--endpoints ADDRESSES', 'how many each member must have (default 1)'],
      unique: ['--unique', 'append to the name what makes it new'],
      print_join: ['--print-join', 'print the command that joins the cluster, and nothing else'],
      key: ['--key [KIND]', 'of new keys: p256, rsa2048, rsa3072 or rsa4096 (default rsa2048); classic protocols',
            "need RSA; for 'node show' without KIND"],
      sig_key: ['--sig-key FILE', 'take the key for signatures from there'],
      comms_key: ['--comms-key FILE', 'take the key for encryption from there'],
      ticket: ['--ticket TICKET',
               "of the cluster, or - for standard input; XLREG_TICKET keeps it out of others' sight"],
      ticket_file: ['--ticket-file FILE', 'to read the ticket from'],
      label: ['--label KEY=VALUE', 'to tell the other members, repeatable'],
      fresh: ['--fresh', 'meet only members of this start, with --wait'],
      watch: ['--watch', 'go on, and tell each change'],
      signed: ['--signed FILE', "to write what the registry has signed to, for 'verify'"],
      secret: ['--secret', 'show the ticket itself, too'],
      uses: ['--uses NODES', 'how many an invite admits, up to 1000 (default any number)'],
      for: ['--for TIME', 'such as 24h, within which an invite admits new nodes (default for ever)'],
      ban: ['--ban', 'keep its key out for good, and revoke its invite'],
      yes: ['--yes', 'do not ask'],
      sig: ['--sig FINGERPRINT', 'that the registry must prove to have the key of, SHA256:…'],
      out: ['--out FILE', 'to write to (default standard output); a ticket makes a new FILE']
    }.freeze
    COMMANDS = VERBS.keys.map { |verb| verb.split[0] }.uniq.join(', ')
    NUMBERS = %i[size endpoints uses].freeze
    SWITCHES = %i[create unique print_join allow_unverified fresh take_over offline watch ban yes secret].freeze
    # What each program that is started finds in its environment. Some are spelled like flags, and are none.
    TOLD = %w[XLREG_CLUSTER XLREG_SELF XLREG_INDEX XLREG_SIZE XLREG_ROSTER XLREG_TLS_CERT XLREG_TLS_KEY
              XLREG_TLS_PEERS XLREG_ROLE XLREG_ENDPOINTS].freeze

    module_function

    # @param flag [Symbol]
    # @return [String] how it is given
    def flag_name(flag) = "--#{flag.to_s.tr('_', '-')}"

    # @param flag [Symbol]
    # @return [String, nil] what the environment has for it. In a program that join has started, the variables that
    #   describe its cluster are no flags
    def from_environment(flag)
      name = "XLREG_#{flag.upcase}"
      return if ENV.key?('XLREG_SELF') && TOLD.include?(name)

      text = ENV.fetch(name, '')
      text unless text.empty?
    end
  end
end
