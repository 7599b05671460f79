# frozen_string_literal: true

module Xlreg
  # The part of a command line that gives a ticket.
  # @api private
  module TicketLine
    # What may be given a ticket, and what has to be given one.
    OPTIONAL_TICKET = %w[join get create leave verify compare].freeze
    TICKETED = [*OPTIONAL_TICKET, 'ticket invite', 'ticket admit', 'ticket reader', 'ticket show', 'evict', 'revoke',
                'reopen', 'delete'].freeze
    # What takes the name of a cluster from it.
    TAKEN_FROM_TICKET = %w[join get create leave compare].freeze
    # What the ticket of a cluster that is to be made says already.
    SAID_BY_TICKET = %i[size endpoints unique print_join].freeze
    private_constant :OPTIONAL_TICKET, :TICKETED, :TAKEN_FROM_TICKET, :SAID_BY_TICKET

    # @return [Boolean] whether there is a ticket. One in the environment is for commands that name no cluster, and no
    #   registry
    def ticket? = ticketed? && !source.nil?

    # @return [String, nil] the line of a ticket; - stands for standard input
    def ticket_text = (source.last if source && source.first != :ticket_file)

    # @return [String, nil] a file that holds a ticket
    def ticket_file = (source.last if source && source.first == :ticket_file)

    private

    def ticketed? = TICKETED.include?(verb)

    def named_by_ticket? = ticket? && TAKEN_FROM_TICKET.include?(verb)

    def ticket_like?(word) = word == '-' || (word && Pasted.url?(Pasted.clean(word)))

    # Where the ticket is from: what the command line says counts before the environment.
    def source = spoken.first || (surrounding.first unless OPTIONAL_TICKET.include?(verb) && elsewhere?)

    def spoken = [([:line, @line] if @line), *flags_of_tickets.select { |flag, _| spoken?(flag) }].compact

    def surrounding = flags_of_tickets.reject { |flag, _| spoken?(flag) }

    def flags_of_tickets = @given.slice(*Usage::TICKET).to_a

    # Tells whether the command line gives a flag, and not the environment.
    def spoken?(flag) = @given.key?(flag) && !@surroundings.include?(flag)

    def elsewhere? = verb == 'verify' ? spoken?(:registry) : !argument.nil?

    def check_ticket
      fail_usage('more than one ticket: give it once') if spoken.size > 1
      return check_no_ticket unless ticket?

      fail_usage('a ticket needs protocol 2.0') if protocol&.classic?
      fail_usage('--ticket-file: want a FILE, and this is a ticket') if ticket_file && ticket_like?(ticket_file)
      fail_usage('the ticket says which registry it is: leave --registry out') if spoken?(:registry)
      check_said
    end

    def check_no_ticket
      return if OPTIONAL_TICKET.include?(verb)

      fail_usage('give a ticket: as TICKET, with --ticket-file FILE, in XLREG_TICKET, or - for standard input')
    end

    # Refuses flags that say what a ticket says.
    def check_said
      fail_usage('--create: a ticket says whether it can create the cluster: leave it out') if create?
      twice = SAID_BY_TICKET.find { |flag| spoken?(flag) } if verb == 'create'
      fail_usage("#{Usage.flag_name(twice)}: the ticket says what the cluster is like: leave it out") if twice
    end
  end
end
