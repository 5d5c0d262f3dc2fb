{#- How tired a user is of messages, by the columns refusals_30d, sends_7d and responses_7d of `counts`: high after an
    unsubscribe or spam complaint in 30 days or six sends or more in 7 days without a response; medium with three sends or
    more in 7 days and a response to less than a quarter; else low. -#}
{% macro fatigue_level(counts) -%}
    case
        when
            {{ counts }}.refusals_30d > 0
            or ({{ counts }}.sends_7d >= 6 and {{ counts }}.responses_7d = 0)
        then 'high'
        when
            {{ counts }}.sends_7d >= 3
            and {{ counts }}.responses_7d * 4 < {{ counts }}.sends_7d
        then 'medium'
        else 'low'
    end
{%- endmacro %}
